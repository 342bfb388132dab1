package embedded;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.ar.ArabicStemFilter;
import org.apache.lucene.analysis.bg.BulgarianStemFilter;
import org.apache.lucene.analysis.bn.BengaliStemFilter;
import org.apache.lucene.analysis.br.BrazilianStemFilter;
import org.apache.lucene.analysis.ckb.SoraniStemFilter;
import org.apache.lucene.analysis.cz.CzechStemFilter;
import org.apache.lucene.analysis.de.GermanLightStemFilter;
import org.apache.lucene.analysis.de.GermanMinimalStemFilter;
import org.apache.lucene.analysis.el.GreekStemFilter;
import org.apache.lucene.analysis.en.EnglishMinimalStemFilter;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.es.SpanishLightStemFilter;
import org.apache.lucene.analysis.es.SpanishPluralStemFilter;
import org.apache.lucene.analysis.fa.PersianStemFilter;
import org.apache.lucene.analysis.fi.FinnishLightStemFilter;
import org.apache.lucene.analysis.fr.FrenchLightStemFilter;
import org.apache.lucene.analysis.fr.FrenchMinimalStemFilter;
import org.apache.lucene.analysis.gl.GalicianMinimalStemFilter;
import org.apache.lucene.analysis.gl.GalicianStemFilter;
import org.apache.lucene.analysis.hi.HindiStemFilter;
import org.apache.lucene.analysis.hu.HungarianLightStemFilter;
import org.apache.lucene.analysis.id.IndonesianStemFilter;
import org.apache.lucene.analysis.it.ItalianLightStemFilter;
import org.apache.lucene.analysis.lv.LatvianStemFilter;
import org.apache.lucene.analysis.no.NorwegianLightStemFilter;
import org.apache.lucene.analysis.no.NorwegianLightStemFilterFactory;
import org.apache.lucene.analysis.no.NorwegianMinimalStemFilter;
import org.apache.lucene.analysis.no.NorwegianMinimalStemFilterFactory;
import org.apache.lucene.analysis.pt.PortugueseLightStemFilter;
import org.apache.lucene.analysis.pt.PortugueseMinimalStemFilter;
import org.apache.lucene.analysis.pt.PortugueseStemFilter;
import org.apache.lucene.analysis.ru.RussianLightStemFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.apache.lucene.analysis.sv.SwedishLightStemFilter;

/** Stemmers by the values that the filter `stemmer` takes as its language. */
final class Stemmers {
    private static final Map<String, UnaryOperator<TokenStream>> OWN = new HashMap<>();

    static {
        OWN.put("arabic", ArabicStemFilter::new);
        OWN.put("bengali", BengaliStemFilter::new);
        OWN.put("brazilian", BrazilianStemFilter::new);
        OWN.put("bulgarian", BulgarianStemFilter::new);
        OWN.put("czech", CzechStemFilter::new);
        OWN.put("english", PorterStemFilter::new);
        OWN.put("porter", PorterStemFilter::new);
        OWN.put("porter2", in -> new SnowballFilter(in, "English"));
        OWN.put("light_english", KStemFilter::new);
        OWN.put("kstem", KStemFilter::new);
        OWN.put("minimal_english", EnglishMinimalStemFilter::new);
        OWN.put("possessive_english", EnglishPossessiveFilter::new);
        OWN.put("light_finnish", FinnishLightStemFilter::new);
        OWN.put("light_french", FrenchLightStemFilter::new);
        OWN.put("minimal_french", FrenchMinimalStemFilter::new);
        OWN.put("galician", GalicianStemFilter::new);
        OWN.put("minimal_galician", GalicianMinimalStemFilter::new);
        OWN.put("german2", in -> new SnowballFilter(in, "German"));
        OWN.put("light_german", GermanLightStemFilter::new);
        OWN.put("minimal_german", GermanMinimalStemFilter::new);
        OWN.put("greek", GreekStemFilter::new);
        OWN.put("hindi", HindiStemFilter::new);
        OWN.put("light_hungarian", HungarianLightStemFilter::new);
        OWN.put("indonesian", IndonesianStemFilter::new);
        OWN.put("light_italian", ItalianLightStemFilter::new);
        OWN.put("latvian", LatvianStemFilter::new);
        OWN.put("light_norwegian", NorwegianLightStemFilter::new);
        OWN.put("light_nynorsk", in -> new NorwegianLightStemFilterFactory(nynorsk()).create(in));
        OWN.put("minimal_norwegian", NorwegianMinimalStemFilter::new);
        OWN.put("minimal_nynorsk", in -> new NorwegianMinimalStemFilterFactory(nynorsk()).create(in));
        OWN.put("persian", PersianStemFilter::new);
        OWN.put("light_portuguese", PortugueseLightStemFilter::new);
        OWN.put("minimal_portuguese", PortugueseMinimalStemFilter::new);
        OWN.put("portuguese_rslp", PortugueseStemFilter::new);
        OWN.put("light_russian", RussianLightStemFilter::new);
        OWN.put("sorani", SoraniStemFilter::new);
        OWN.put("light_spanish", SpanishLightStemFilter::new);
        OWN.put("spanish_plural", SpanishPluralStemFilter::new);
        OWN.put("light_swedish", SwedishLightStemFilter::new);
    }

    private Stemmers() {}

    private static Map<String, String> nynorsk() {
        // Each factory takes out of the map what it has understood.
        return new HashMap<>(Map.of("variant", "nn"));
    }

    /** The stemmer of a language; every other name is one of Snowball's. Refuses a name that neither knows. */
    static UnaryOperator<TokenStream> of(String language) {
        UnaryOperator<TokenStream> own = OWN.get(language.toLowerCase(Locale.ROOT));
        return own != null ? own : snowball(language);
    }

    /** A Snowball stemmer: "english" and "English" are one. */
    static UnaryOperator<TokenStream> snowball(String language) {
        String name = language.substring(0, 1).toUpperCase(Locale.ROOT) + language.substring(1);
        try {
            Class.forName("org.tartarus.snowball.ext." + name + "Stemmer", false, SnowballFilter.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new IllegalArgumentException("Invalid stemmer class specified: " + name, e);
        }
        return in -> new SnowballFilter(in, name);
    }
}
