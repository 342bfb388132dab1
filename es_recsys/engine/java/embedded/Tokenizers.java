package embedded;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenizer;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.PreConfiguredTokenizer;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;

/** Elasticsearch's tokenizers by name, settings and defaults. */
final class Tokenizers {
    private static final Map<String, Function<Settings, Supplier<Tokenizer>>> ALL = Map.of(
        "keyword", LuceneFactory.of("keyword").with("maxTokenLen", "buffer_size", 256)::tokenizer,
        "letter", LuceneFactory.of("letter")::tokenizer,
        "whitespace", LuceneFactory.of("whitespace").with("maxTokenLen", "max_token_length", 255)::tokenizer,
        "ngram", settings -> ngram(settings, tokenChars(settings)),
        "edge_ngram", settings -> edgeNgram(settings, tokenChars(settings)),
        "path_hierarchy", Tokenizers::pathHierarchy,
        "pattern", Tokenizers::pattern,
        "uax_url_email", LuceneFactory.of("uax29UrlEmail").with("maxTokenLength", "max_token_length", 255)::tokenizer);

    private Tokenizers() {}

    static List<PreConfiguredTokenizer> named() {
        return ALL.entrySet().stream()
            .map(entry -> PreConfiguredTokenizer.singleton(entry.getKey(), entry.getValue().apply(Settings.EMPTY))).toList();
    }

    static Map<String, AnalysisProvider<TokenizerFactory>> types() {
        Map<String, AnalysisProvider<TokenizerFactory>> types = new HashMap<>();
        ALL.forEach((type, tokenizer) -> types.put(type, (index, environment, name, settings) -> {
            if (type.equals("ngram")) {
                checkNgramDiff(index, settings);
            }
            return TokenizerFactory.newFactory(name, tokenizer.apply(settings));
        }));
        return types;
    }

    static void checkNgramDiff(IndexSettings index, Settings settings) {
        int diff = settings.getAsInt("max_gram", 2) - settings.getAsInt("min_gram", 1);
        if (diff > index.getMaxNgramDiff()) {
            throw new IllegalArgumentException("The difference between max_gram and min_gram in NGram Tokenizer must be less than or"
                + " equal to: [" + index.getMaxNgramDiff() + "] but was [" + diff + "]. This limit can be set by changing the ["
                + IndexSettings.MAX_NGRAM_DIFF_SETTING.getKey() + "] index level setting.");
        }
    }

    private static Supplier<Tokenizer> ngram(Settings settings, IntPredicate tokenChars) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        return () -> new NGramTokenizer(min, max) {
            @Override
            protected boolean isTokenChar(int chr) {
                return tokenChars.test(chr);
            }
        };
    }

    private static Supplier<Tokenizer> edgeNgram(Settings settings, IntPredicate tokenChars) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        return () -> new EdgeNGramTokenizer(min, max) {
            @Override
            protected boolean isTokenChar(int chr) {
                return tokenChars.test(chr);
            }
        };
    }

    private static IntPredicate tokenChars(Settings settings) {
        List<String> classes = settings.getAsList("token_chars");
        return classes.isEmpty() ? chr -> true : classes.stream()
            .map(name -> tokenChars(name.strip(), settings)).reduce(IntPredicate::or).orElseThrow();
    }

    private static IntPredicate tokenChars(String name, Settings settings) {
        return switch (name) {
            case "letter" -> Character::isLetter;
            case "digit" -> Character::isDigit;
            case "whitespace" -> Character::isWhitespace;
            case "punctuation" -> matching("\\p{P}");
            case "symbol" -> matching("\\p{S}");
            case "custom" -> {
                String characters = settings.get("custom_token_chars");
                if (characters == null) {
                    throw new IllegalArgumentException("Token type: 'custom' requires setting `custom_token_chars`");
                }
                yield chr -> characters.indexOf(chr) >= 0;
            }
            default -> throw new IllegalArgumentException("Unknown token type: '" + name
                + "', must be one of [letter, digit, whitespace, punctuation, symbol, custom]");
        };
    }

    private static IntPredicate matching(String regex) {
        Predicate<String> matches = Pattern.compile(regex).asMatchPredicate();
        return chr -> matches.test(Character.toString(chr));
    }

    private static Supplier<Tokenizer> pathHierarchy(Settings settings) {
        String delimiter = settings.get("delimiter", "/");
        return LuceneFactory.of("pathHierarchy").with("delimiter", "delimiter", delimiter).with("replace", "replacement", delimiter)
            .with("reverse", "reverse", false).with("skip", "skip", 0).tokenizer(settings);
    }

    private static Supplier<Tokenizer> pattern(Settings settings) {
        Pattern pattern = Regex.compile(settings.get("pattern", "\\W+"), settings.get("flags"));
        int group = settings.getAsInt("group", -1);
        return () -> new PatternTokenizer(pattern, group);
    }
}
