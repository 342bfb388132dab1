package embedded;

import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_ALL;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_NUMBERS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.CATENATE_WORDS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.GENERATE_NUMBER_PARTS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.GENERATE_WORD_PARTS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.IGNORE_KEYWORDS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.PRESERVE_ORIGINAL;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.SPLIT_ON_CASE_CHANGE;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.SPLIT_ON_NUMERICS;
import static org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter.STEM_ENGLISH_POSSESSIVE;

import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.cjk.CJKBigramFilter;
import org.apache.lucene.analysis.compound.CompoundWordTokenFilterBase;
import org.apache.lucene.analysis.compound.DictionaryCompoundWordTokenFilter;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.LengthFilter;
import org.apache.lucene.analysis.miscellaneous.LimitTokenCountFilter;
import org.apache.lucene.analysis.miscellaneous.PatternKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.SetKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.StemmerOverrideFilter;
import org.apache.lucene.analysis.miscellaneous.TruncateTokenFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceFilter;
import org.apache.lucene.analysis.reverse.ReverseStringFilter;
import org.apache.lucene.analysis.util.ElisionFilter;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;

/** Token filters with settings, by their official names, settings and defaults. */
final class ConfiguredFilters {
    static final int DELIMITER_DEFAULTS =
        GENERATE_WORD_PARTS | GENERATE_NUMBER_PARTS | SPLIT_ON_CASE_CHANGE | SPLIT_ON_NUMERICS | STEM_ENGLISH_POSSESSIVE;

    private ConfiguredFilters() {}

    static Map<String, AnalysisProvider<TokenFilterFactory>> types() {
        Map<String, AnalysisProvider<TokenFilterFactory>> types = new HashMap<>();
        types.put("asciifolding", (index, environment, name, s) -> asciiFolding(name, s));
        types.put("cjk_bigram", (index, environment, name, s) -> cjkBigram(name, s));
        types.put("edge_ngram", (index, environment, name, s) -> edgeNgram(name, s));
        types.put("length", (index, environment, name, s) -> length(name, s));
        types.put("limit", (index, environment, name, s) -> limit(name, s));
        types.put("ngram", (index, environment, name, s) -> ngram(index, name, s));
        types.put("snowball", (index, environment, name, s) -> Filter.of(name, Stemmers.snowball(language(s, "English"))));
        types.put("stemmer", (index, environment, name, s) -> Filter.of(name, Stemmers.of(language(s, "porter"))));
        types.put("truncate", (index, environment, name, s) -> truncate(name, s));
        types.put("word_delimiter_graph", (index, environment, name, s) -> wordDelimiter(environment, name, s));
        // These can't be without settings.
        required(types, "dictionary_decompounder", (index, environment, name, s) -> decompounder(environment, name, s));
        required(types, "elision", (index, environment, name, s) -> elision(environment, name, s));
        required(types, "keyword_marker", (index, environment, name, s) -> keywordMarker(environment, name, s));
        required(types, "pattern_replace", (index, environment, name, s) -> patternReplace(name, s));
        required(types, "stemmer_override", (index, environment, name, s) -> stemmerOverride(environment, name, s));
        required(types, "synonym", (index, environment, name, s) -> new Synonyms(environment, name, s, false));
        required(types, "synonym_graph", (index, environment, name, s) -> new Synonyms(environment, name, s, true));
        return types;
    }

    private static void required(Map<String, AnalysisProvider<TokenFilterFactory>> types, String type,
            AnalysisProvider<TokenFilterFactory> provider) {
        types.put(type, AnalysisPlugin.requiresAnalysisSettings(provider));
    }

    private static String language(Settings settings, String otherwise) {
        return settings.get("language", settings.get("name", otherwise));
    }

    private static Filter asciiFolding(String name, Settings settings) {
        boolean preserve = settings.getAsBoolean("preserve_original", false);
        UnaryOperator<TokenStream> single = ASCIIFoldingFilter::new;
        return Filter.normalizing(name, preserve ? in -> new ASCIIFoldingFilter(in, true) : single, single);
    }

    private static Filter cjkBigram(String name, Settings settings) {
        Map<String, Integer> scripts = Map.of("han", CJKBigramFilter.HAN, "hiragana", CJKBigramFilter.HIRAGANA,
            "katakana", CJKBigramFilter.KATAKANA, "hangul", CJKBigramFilter.HANGUL);
        boolean unigrams = settings.getAsBoolean("output_unigrams", false);
        Set<String> ignored = new HashSet<>(settings.getAsList("ignored_scripts"));
        int flags = scripts.entrySet().stream().filter(e -> !ignored.contains(e.getKey())).mapToInt(Map.Entry::getValue).sum();
        UnaryOperator<TokenStream> filter = in -> new CJKBigramFilter(in, flags, unigrams);
        return unigrams ? Filter.multiplying(name, filter) : Filter.of(name, filter);
    }

    private static Filter edgeNgram(String name, Settings settings) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        boolean preserve = settings.getAsBoolean("preserve_original", false);
        String side = settings.get("side", "front");
        UnaryOperator<TokenStream> front = in -> new EdgeNGramTokenFilter(in, min, max, preserve);
        return switch (side) {
            case "front" -> Filter.multiplying(name, front);
            case "back" -> Filter.multiplying(name,
                in -> new ReverseStringFilter(front.apply(new ReverseStringFilter(in))));
            default -> throw new IllegalArgumentException("invalid side: " + side);
        };
    }

    private static Filter length(String name, Settings settings) {
        int min = settings.getAsInt("min", 0);
        int max = settings.getAsInt("max", Integer.MAX_VALUE);
        return Filter.of(name, in -> new LengthFilter(in, min, max));
    }

    private static Filter limit(String name, Settings settings) {
        int max = settings.getAsInt("max_token_count", 1);
        boolean consume = settings.getAsBoolean("consume_all_tokens", false);
        return Filter.of(name, in -> new LimitTokenCountFilter(in, max, consume));
    }

    private static Filter ngram(IndexSettings index, String name, Settings settings) {
        int min = settings.getAsInt("min_gram", 1);
        int max = settings.getAsInt("max_gram", 2);
        boolean preserve = settings.getAsBoolean("preserve_original", false);
        Sources.checkSpread(index, min, max);
        return Filter.multiplying(name, in -> new NGramTokenFilter(in, min, max, preserve));
    }

    private static Filter truncate(String name, Settings settings) {
        int length = settings.getAsInt("length", 10);
        if (length <= 0) {
            throw new IllegalArgumentException("length parameter must be provided");
        }
        return Filter.of(name, in -> new TruncateTokenFilter(in, length));
    }

    private static Filter wordDelimiter(Environment environment, String name, Settings settings) {
        int flags = flag(settings, "generate_word_parts", true, GENERATE_WORD_PARTS)
            | flag(settings, "generate_number_parts", true, GENERATE_NUMBER_PARTS)
            | flag(settings, "catenate_words", false, CATENATE_WORDS)
            | flag(settings, "catenate_numbers", false, CATENATE_NUMBERS)
            | flag(settings, "catenate_all", false, CATENATE_ALL)
            | flag(settings, "split_on_case_change", true, SPLIT_ON_CASE_CHANGE)
            | flag(settings, "split_on_numerics", true, SPLIT_ON_NUMERICS)
            | flag(settings, "preserve_original", false, PRESERVE_ORIGINAL)
            | flag(settings, "stem_english_possessive", true, STEM_ENGLISH_POSSESSIVE)
            | flag(settings, "ignore_keywords", false, IGNORE_KEYWORDS);
        boolean offsets = settings.getAsBoolean("adjust_offsets", true);
        CharArraySet kept = Analysis.getWordSet(environment, settings, "protected_words");
        byte[] table = WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE;
        if (settings.getAsList("type_table").isEmpty() == false || settings.get("type_table_path") != null) {
            throw new IllegalArgumentException("The embedded node does not read [type_table].");
        }
        return Filter.multiplying(name, in -> new WordDelimiterGraphFilter(in, offsets, table, flags, kept));
    }

    private static int flag(Settings settings, String name, boolean otherwise, int bit) {
        return settings.getAsBoolean(name, otherwise) ? bit : 0;
    }

    private static Filter decompounder(Environment environment, String name, Settings settings) {
        CharArraySet words = Analysis.getWordSet(environment, settings, "word_list");
        if (words == null) {
            throw new IllegalArgumentException("word_list must be provided for [" + name + "], either as a path to a file, or directly");
        }
        int word = settings.getAsInt("min_word_size", CompoundWordTokenFilterBase.DEFAULT_MIN_WORD_SIZE);
        int min = settings.getAsInt("min_subword_size", CompoundWordTokenFilterBase.DEFAULT_MIN_SUBWORD_SIZE);
        int max = settings.getAsInt("max_subword_size", CompoundWordTokenFilterBase.DEFAULT_MAX_SUBWORD_SIZE);
        boolean longest = settings.getAsBoolean("only_longest_match", false);
        return Filter.multiplying(name, in -> new DictionaryCompoundWordTokenFilter(in, words, word, min, max, longest));
    }

    private static Filter elision(Environment environment, String name, Settings settings) {
        CharArraySet articles = Analysis.parseArticles(environment, settings);
        if (articles == null) {
            throw new IllegalArgumentException("elision filter requires [articles] or [articles_path] setting");
        }
        return Filter.normalizing(name, in -> new ElisionFilter(in, articles));
    }

    private static Filter keywordMarker(Environment environment, String name, Settings settings) {
        String pattern = settings.get("keywords_pattern");
        if (pattern != null) {
            Pattern compiled = Pattern.compile(pattern);
            return Filter.of(name, in -> new PatternKeywordMarkerFilter(in, compiled));
        }
        CharArraySet words = Analysis.getWordSet(environment, settings, "keywords");
        if (words == null) {
            throw new IllegalArgumentException(
                "keyword filter requires either `keywords`, `keywords_path`, or `keywords_pattern` to be configured");
        }
        boolean ignoreCase = settings.getAsBoolean("ignore_case", false);
        CharArraySet keywords = new CharArraySet(words, ignoreCase);
        return Filter.of(name, in -> new SetKeywordMarkerFilter(in, keywords));
    }

    private static Filter patternReplace(String name, Settings settings) {
        String text = settings.get("pattern");
        if (text == null) {
            throw new IllegalArgumentException("pattern is missing for [" + name + "] token filter of type 'pattern_replace'");
        }
        Pattern pattern = Regex.compile(text, settings.get("flags"));
        String replacement = settings.get("replacement", "");
        boolean all = settings.getAsBoolean("all", true);
        return Filter.normalizing(name, in -> new PatternReplaceFilter(in, pattern, replacement, all));
    }

    private static Filter stemmerOverride(Environment environment, String name, Settings settings) throws IOException {
        List<String> rules = Analysis.getWordList(environment, settings, "rules");
        if (rules == null) {
            throw new IllegalArgumentException("stemmer override filter requires either `rules` or `rules_path` to be configured");
        }
        StemmerOverrideFilter.Builder builder = new StemmerOverrideFilter.Builder(false);
        for (String rule : rules) {
            String[] sides = rule.split("=>", -1);
            if (sides.length != 2 || sides[1].isBlank() || sides[1].contains(",")) {
                throw new IllegalArgumentException("Invalid Keyword override Rule:" + rule);
            }
            for (String word : sides[0].split(",", -1)) {
                if (word.isBlank()) {
                    throw new IllegalArgumentException("Invalid Keyword override Rule:" + rule);
                }
                builder.add(word.strip(), sides[1].strip());
            }
        }
        StemmerOverrideFilter.StemmerOverrideMap map = builder.build();
        return Filter.of(name, in -> new StemmerOverrideFilter(in, map));
    }
}
