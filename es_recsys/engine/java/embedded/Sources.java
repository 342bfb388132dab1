package embedded;

import java.io.Reader;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.charfilter.HTMLStripCharFilter;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.LetterTokenizer;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenizer;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.apache.lucene.analysis.path.PathHierarchyTokenizer;
import org.apache.lucene.analysis.path.ReversePathHierarchyTokenizer;
import org.apache.lucene.analysis.pattern.PatternReplaceCharFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.PreConfiguredCharFilter;
import org.elasticsearch.index.analysis.PreConfiguredTokenizer;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;

/** What stands before the token filters: char filters and tokenizers, by their official names, settings and defaults. */
final class Sources {
    private static final Pattern MAPPING = Pattern.compile("(.*)\\s*=>\\s*(.*)\\s*$");
    private static final Pattern ESCAPE = Pattern.compile("\\\\(?:u([0-9a-fA-F]{4})|(.))");

    private Sources() {}

    static List<PreConfiguredTokenizer> namedTokenizers() {
        return List.of(
            PreConfiguredTokenizer.singleton("keyword", KeywordTokenizer::new),
            PreConfiguredTokenizer.singleton("letter", LetterTokenizer::new),
            PreConfiguredTokenizer.singleton("whitespace", WhitespaceTokenizer::new),
            PreConfiguredTokenizer.singleton("ngram", NGramTokenizer::new),
            PreConfiguredTokenizer.singleton("edge_ngram", () -> new EdgeNGramTokenizer(1, 2)),
            PreConfiguredTokenizer.singleton("path_hierarchy", PathHierarchyTokenizer::new),
            PreConfiguredTokenizer.singleton("pattern", () -> new PatternTokenizer(Regex.compile("\\W+", null), -1)),
            PreConfiguredTokenizer.singleton("uax_url_email", UAX29URLEmailTokenizer::new));
    }

    static Map<String, AnalysisProvider<TokenizerFactory>> tokenizers() {
        Map<String, AnalysisProvider<TokenizerFactory>> types = new HashMap<>();
        types.put("keyword", (index, environment, name, s) -> {
            int buffer = s.getAsInt("buffer_size", KeywordTokenizer.DEFAULT_BUFFER_SIZE);
            return TokenizerFactory.newFactory(name, () -> new KeywordTokenizer(buffer));
        });
        types.put("letter", (index, environment, name, s) -> TokenizerFactory.newFactory(name, LetterTokenizer::new));
        types.put("whitespace", (index, environment, name, s) -> {
            int longest = s.getAsInt("max_token_length", 255);
            return TokenizerFactory.newFactory(name,
                () -> new WhitespaceTokenizer(Tokenizer.DEFAULT_TOKEN_ATTRIBUTE_FACTORY, longest));
        });
        types.put("ngram", (index, environment, name, s) -> grams(index, name, s, false));
        types.put("edge_ngram", (index, environment, name, s) -> grams(index, name, s, true));
        types.put("path_hierarchy", (index, environment, name, s) -> TokenizerFactory.newFactory(name, path(s)));
        types.put("pattern", (index, environment, name, s) -> {
            Pattern pattern = Regex.compile(s.get("pattern", "\\W+"), s.get("flags"));
            int group = s.getAsInt("group", -1);
            return TokenizerFactory.newFactory(name, () -> new PatternTokenizer(pattern, group));
        });
        types.put("uax_url_email", (index, environment, name, s) -> {
            int longest = s.getAsInt("max_token_length", 255);
            return TokenizerFactory.newFactory(name, () -> {
                UAX29URLEmailTokenizer tokenizer = new UAX29URLEmailTokenizer();
                tokenizer.setMaxTokenLength(longest);
                return tokenizer;
            });
        });
        return types;
    }

    static void checkSpread(IndexSettings index, int min, int max) {
        int allowed = index.getMaxNgramDiff();
        if (max - min > allowed) {
            throw new IllegalArgumentException("The difference between max_gram and min_gram in NGram Tokenizer must be less than or"
                + " equal to: [" + allowed + "] but was [" + (max - min) + "]. This limit can be set by changing the ["
                + IndexSettings.MAX_NGRAM_DIFF_SETTING.getKey() + "] index level setting.");
        }
    }

    private static TokenizerFactory grams(IndexSettings index, String name, Settings settings, boolean edge) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        if (edge == false) {
            checkSpread(index, min, max);
        }
        IntPredicate kept = kept(settings);
        return TokenizerFactory.newFactory(name, edge
            ? () -> new EdgeNGramTokenizer(min, max) {
                @Override
                protected boolean isTokenChar(int chr) {
                    return kept.test(chr);
                }
            }
            : () -> new NGramTokenizer(min, max) {
                @Override
                protected boolean isTokenChar(int chr) {
                    return kept.test(chr);
                }
            });
    }

    private static IntPredicate kept(Settings settings) {
        IntPredicate kept = null;
        for (String kind : settings.getAsList("token_chars")) {
            IntPredicate one = switch (kind.strip()) {
                case "letter" -> Character::isLetter;
                case "digit" -> Character::isDigit;
                case "whitespace" -> Character::isWhitespace;
                case "punctuation" -> chr -> in(chr, Character.START_PUNCTUATION, Character.END_PUNCTUATION,
                    Character.OTHER_PUNCTUATION, Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION,
                    Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION);
                case "symbol" -> chr -> in(chr, Character.CURRENCY_SYMBOL, Character.MATH_SYMBOL, Character.OTHER_SYMBOL,
                    Character.MODIFIER_SYMBOL);
                case "custom" -> custom(settings.get("custom_token_chars"));
                default -> throw new IllegalArgumentException("Unknown token type: '" + kind
                    + "', must be one of [letter, digit, whitespace, punctuation, symbol, custom]");
            };
            kept = kept == null ? one : kept.or(one);
        }
        return kept == null ? chr -> true : kept;
    }

    private static IntPredicate custom(String characters) {
        if (characters == null) {
            throw new IllegalArgumentException("Token type: 'custom' requires setting `custom_token_chars`");
        }
        return chr -> characters.indexOf(chr) >= 0;
    }

    private static boolean in(int chr, int... types) {
        int type = Character.getType(chr);
        for (int one : types) {
            if (one == type) {
                return true;
            }
        }
        return false;
    }

    private static Supplier<Tokenizer> path(Settings settings) {
        int buffer = settings.getAsInt("buffer_size", 1024);
        char delimiter = one(settings, "delimiter", '/');
        char replacement = one(settings, "replacement", delimiter);
        int skip = settings.getAsInt("skip", 0);
        return settings.getAsBoolean("reverse", false)
            ? () -> new ReversePathHierarchyTokenizer(buffer, delimiter, replacement, skip)
            : () -> new PathHierarchyTokenizer(buffer, delimiter, replacement, skip);
    }

    private static char one(Settings settings, String name, char otherwise) {
        String text = settings.get(name);
        if (text == null) {
            return otherwise;
        }
        if (text.length() != 1) {
            throw new IllegalArgumentException(name + " must be a one char value");
        }
        return text.charAt(0);
    }

    static List<PreConfiguredCharFilter> namedCharFilters() {
        return List.of(PreConfiguredCharFilter.singleton("html_strip", false, HTMLStripCharFilter::new));
    }

    static Map<String, AnalysisProvider<CharFilterFactory>> charFilters() {
        return Map.of(
            "html_strip", (index, environment, name, s) -> {
                Set<String> escaped = new HashSet<>(s.getAsList("escaped_tags"));
                return charFilter(name, in -> new HTMLStripCharFilter(in, escaped), false);
            },
            "mapping", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, s) -> {
                NormalizeCharMap map = mapping(environment, s);
                return charFilter(name, in -> new MappingCharFilter(map, in), true);
            }),
            "pattern_replace", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, s) -> {
                if (s.get("pattern") == null) {
                    throw new IllegalArgumentException("pattern is missing for [" + name + "] char filter of type 'pattern_replace'");
                }
                Pattern pattern = Regex.compile(s.get("pattern"), s.get("flags"));
                String replacement = s.get("replacement", "");
                return charFilter(name, in -> new PatternReplaceCharFilter(pattern, replacement, in), true);
            }));
    }

    private static CharFilterFactory charFilter(String name, UnaryOperator<Reader> filter, boolean normalizes) {
        return new NormalizingCharFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public Reader create(Reader in) {
                return filter.apply(in);
            }

            @Override
            public Reader normalize(Reader in) {
                return normalizes ? filter.apply(in) : in;
            }
        };
    }

    private static NormalizeCharMap mapping(Environment environment, Settings settings) {
        List<String> rules = Analysis.getWordList(environment, settings, "mappings");
        if (rules == null) {
            throw new IllegalArgumentException("mapping requires either `mappings` or `mappings_path` to be configured");
        }
        NormalizeCharMap.Builder builder = new NormalizeCharMap.Builder();
        for (String rule : rules) {
            Matcher sides = MAPPING.matcher(rule);
            if (sides.matches() == false) {
                throw new RuntimeException("Invalid Mapping Rule : [" + rule + "]");
            }
            builder.add(unescaped(sides.group(1).strip()), unescaped(sides.group(2).strip()));
        }
        return builder.build();
    }

    private static String unescaped(String text) {
        return ESCAPE.matcher(text).replaceAll(match -> Matcher.quoteReplacement(
            match.group(1) != null ? String.valueOf((char) Integer.parseInt(match.group(1), 16)) : switch (match.group(2)) {
                case "b" -> "\b";
                case "f" -> "\f";
                case "n" -> "\n";
                case "r" -> "\r";
                case "t" -> "\t";
                default -> match.group(2);
            }));
    }
}
