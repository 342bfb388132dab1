package embedded;

import java.util.Locale;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.miscellaneous.EmptyTokenStream;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.elasticsearch.common.settings.Settings;

/** Stemmers by the values that the filter `stemmer` takes as its language. */
final class Stemmers {
    /** Languages whose own stemmer in Lucene comes before Snowball's. */
    private static final Set<String> NOT_SNOWBALL = Set.of("arabic", "bengali", "brazilian", "bulgarian", "czech", "galician",
        "greek", "hindi", "indonesian", "latvian", "persian", "sorani");

    private Stemmers() {}

    /** Returns the stemmer of a language: Lucene's own, else Snowball's. Refuses an unknown name. */
    static UnaryOperator<TokenStream> of(String language) {
        String name = language.toLowerCase(Locale.ROOT);
        return switch (name) {
            case "english", "porter" -> lucene("porterStem");
            case "porter2" -> snowball("English");
            case "kstem", "light_english" -> lucene("kStem");
            case "possessive_english" -> lucene("englishPossessive");
            case "german2" -> snowball("German");
            case "light_nynorsk" -> nynorsk("norwegianLightStem");
            case "minimal_nynorsk" -> nynorsk("norwegianMinimalStem");
            case "portuguese_rslp" -> lucene("portugueseStem");
            case "spanish_plural" -> lucene("spanishPluralStem");
            default -> {
                if (name.startsWith("light_")) {
                    yield ofLanguage(name.substring("light_".length()) + "LightStem", name);
                }
                if (name.startsWith("minimal_")) {
                    yield ofLanguage(name.substring("minimal_".length()) + "MinimalStem", name);
                }
                yield NOT_SNOWBALL.contains(name) ? lucene(name + "Stem") : snowball(language);
            }
        };
    }

    /** Returns a Snowball stemmer: "english" and "English" are one. Refuses an unknown name. */
    static UnaryOperator<TokenStream> snowball(String language) {
        String name = language.substring(0, 1).toUpperCase(Locale.ROOT) + language.substring(1);
        UnaryOperator<TokenStream> filter = in -> new SnowballFilter(in, name);
        filter.apply(new EmptyTokenStream());  // refuses an unknown name now, not at the first text
        return filter;
    }

    /** Returns a filter of Lucene that is named after a language. Refuses an unknown language. */
    static UnaryOperator<TokenStream> ofLanguage(String factory, String language) {
        try {
            return lucene(factory);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("language [" + language + "] is not supported", e);
        }
    }

    private static UnaryOperator<TokenStream> lucene(String factory) {
        return LuceneFactory.of(factory).filter(Settings.EMPTY);
    }

    private static UnaryOperator<TokenStream> nynorsk(String factory) {
        return LuceneFactory.of(factory).with("variant", "variant", "nn").filter(Settings.EMPTY);
    }
}
