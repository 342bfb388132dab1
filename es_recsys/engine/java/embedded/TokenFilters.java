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

import embedded.TokenFilter.Kind;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.StopFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.compound.CompoundWordTokenFilterBase;
import org.apache.lucene.analysis.compound.DictionaryCompoundWordTokenFilter;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.miscellaneous.PatternKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.SetKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.StemmerOverrideFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator;
import org.apache.lucene.analysis.pattern.PatternReplaceFilter;
import org.apache.lucene.analysis.reverse.ReverseStringFilter;
import org.apache.lucene.analysis.util.ElisionFilter;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.PreConfiguredTokenFilter;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;

/** Elasticsearch's token filters as a table: name, kind, and the filter of Lucene that its settings make. */
final class TokenFilters {
    private static final List<String> WORD_FILTERS = List.of("apostrophe", "arabic_stem", "classic", "czech_stem", "flatten_graph",
        "german_stem", "kstem", "porter_stem", "remove_duplicates");
    private static final List<String> CHARACTER_FILTERS = List.of("arabic_normalization", "bengali_normalization", "cjk_width",
        "decimal_digit", "german_normalization", "hindi_normalization", "indic_normalization", "persian_normalization",
        "scandinavian_folding", "scandinavian_normalization", "serbian_normalization", "sorani_normalization", "trim", "uppercase");

    private static final Map<String, Integer> DELIMITER_FLAGS = Map.of("generate_word_parts", GENERATE_WORD_PARTS,
        "generate_number_parts", GENERATE_NUMBER_PARTS, "catenate_words", CATENATE_WORDS, "catenate_numbers", CATENATE_NUMBERS,
        "catenate_all", CATENATE_ALL, "split_on_case_change", SPLIT_ON_CASE_CHANGE, "split_on_numerics", SPLIT_ON_NUMERICS,
        "preserve_original", PRESERVE_ORIGINAL, "stem_english_possessive", STEM_ENGLISH_POSSESSIVE,
        "ignore_keywords", IGNORE_KEYWORDS);
    private static final Set<String> DELIMITER_DEFAULTS = Set.of("generate_word_parts", "generate_number_parts",
        "split_on_case_change", "split_on_numerics", "stem_english_possessive");

    /** Filters that an analyzer may name without defining them. */
    private static final Map<String, TokenFilter> NAMED = new HashMap<>();
    /** Filters that an index defines by `type` and settings. */
    private static final Map<String, AnalysisProvider<TokenFilterFactory>> TYPES = new HashMap<>();

    static {
        WORD_FILTERS.forEach(name -> both(name, Kind.WORD, LuceneFactory.of(name.replace("_", ""))::filter));
        CHARACTER_FILTERS.forEach(name -> both(name, Kind.CHARACTER, LuceneFactory.of(name.replace("_", ""))::filter));
        both("french_stem", Kind.WORD, settings -> Stemmers.of("french"));
        both("keyword_repeat", Kind.MULTIPLYING, LuceneFactory.of("keywordRepeat")::filter);
        both("length", Kind.WORD, LuceneFactory.of("length").with("min", "min", 0).with("max", "max", Integer.MAX_VALUE)::filter);
        both("limit", Kind.WORD, LuceneFactory.of("limitTokenCount").with("maxTokenCount", "max_token_count", 1)
            .with("consumeAllTokens", "consume_all_tokens", false)::filter);
        both("reverse", Kind.WORD, LuceneFactory.of("reverseString")::filter);
        both("russian_stem", Kind.WORD, settings -> Stemmers.of("russian"));
        both("snowball", Kind.WORD, settings -> Stemmers.snowball(language(settings, "English")));
        both("stemmer", Kind.WORD, settings -> Stemmers.of(language(settings, "porter")));
        both("truncate", Kind.WORD, LuceneFactory.of("truncate").with("prefixLength", "length", 10)::filter);

        // The server itself has these by type.
        named("shingle", Kind.MULTIPLYING, LuceneFactory.of("shingle").filter(Settings.EMPTY));
        named("stop", Kind.WORD, in -> new StopFilter(in, EnglishAnalyzer.ENGLISH_STOP_WORDS_SET));
        // And this one by name.
        type("lowercase", (index, environment, name, settings) -> {
            String language = settings.get("language", "");
            return new TokenFilter(name, Kind.CHARACTER, Stemmers.ofLanguage(language + "lowercase", language));
        });

        named("asciifolding", Kind.CHARACTER, LuceneFactory.of("asciiFolding").filter(Settings.EMPTY));
        type("asciifolding", (index, environment, name, settings) -> new TokenFilter(name, Kind.CHARACTER,
            LuceneFactory.of("asciiFolding").with("preserveOriginal", "preserve_original", false).filter(settings),
            LuceneFactory.of("asciiFolding").filter(settings)));
        named("cjk_bigram", Kind.WORD, cjkBigram(Settings.EMPTY));
        type("cjk_bigram", (index, environment, name, settings) -> new TokenFilter(name,
            settings.getAsBoolean("output_unigrams", false) ? Kind.MULTIPLYING : Kind.WORD, cjkBigram(settings)));
        // Named without settings, Elasticsearch's makes single characters.
        named("edge_ngram", Kind.MULTIPLYING, edgeNgram(Settings.builder().put("max_gram", 1).build()));
        type("edge_ngram", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.MULTIPLYING, edgeNgram(settings)));
        named("ngram", Kind.MULTIPLYING, ngram(Settings.EMPTY));
        type("ngram", (index, environment, name, settings) -> {
            Tokenizers.checkNgramDiff(index, settings);
            return new TokenFilter(name, Kind.MULTIPLYING, ngram(settings));
        });
        // Named without settings, Elasticsearch's doesn't adjust offsets.
        named("word_delimiter_graph", Kind.MULTIPLYING,
            wordDelimiter(null, Settings.builder().put("adjust_offsets", false).build()));
        type("word_delimiter_graph", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.MULTIPLYING, wordDelimiter(environment, settings)));

        named("elision", Kind.CHARACTER, in -> new ElisionFilter(in, FrenchAnalyzer.DEFAULT_ARTICLES));
        typeWithSettings("elision", (index, environment, name, settings) -> {
            CharArraySet articles = required(Analysis.parseArticles(environment, settings), "elision", "articles");
            return new TokenFilter(name, Kind.CHARACTER, in -> new ElisionFilter(in, articles));
        });
        typeWithSettings("dictionary_decompounder", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.MULTIPLYING, decompounder(environment, settings)));
        typeWithSettings("keyword_marker", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.WORD, keywordMarker(environment, settings)));
        typeWithSettings("pattern_replace", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.CHARACTER, patternReplace(settings)));
        typeWithSettings("stemmer_override", (index, environment, name, settings) ->
            new TokenFilter(name, Kind.WORD, stemmerOverride(environment, settings)));
        typeWithSettings("synonym", (index, environment, name, settings) -> new Synonyms(environment, name, settings, false));
        typeWithSettings("synonym_graph", (index, environment, name, settings) -> new Synonyms(environment, name, settings, true));
    }

    private TokenFilters() {}

    static List<PreConfiguredTokenFilter> named() {
        return NAMED.entrySet().stream().map(entry -> {
            TokenFilter filter = entry.getValue();
            return PreConfiguredTokenFilter.singleton(
                entry.getKey(), filter.kind() == Kind.CHARACTER, filter.kind() != Kind.MULTIPLYING, filter::create);
        }).toList();
    }

    static Map<String, AnalysisProvider<TokenFilterFactory>> types() {
        return TYPES;
    }

    private static void both(String name, Kind kind, Function<Settings, UnaryOperator<TokenStream>> filter) {
        named(name, kind, filter.apply(Settings.EMPTY));
        type(name, (index, environment, ownName, settings) -> new TokenFilter(ownName, kind, filter.apply(settings)));
    }

    private static void named(String name, Kind kind, UnaryOperator<TokenStream> filter) {
        NAMED.put(name, new TokenFilter(name, kind, filter));
    }

    private static void type(String type, AnalysisProvider<TokenFilterFactory> provider) {
        TYPES.put(type, provider);
    }

    private static void typeWithSettings(String type, AnalysisProvider<TokenFilterFactory> provider) {
        TYPES.put(type, AnalysisPlugin.requiresAnalysisSettings(provider));
    }

    private static <T> T required(T value, String filter, String setting) {
        if (value == null) {
            throw new IllegalArgumentException(filter + " requires the setting [" + setting + "]");
        }
        return value;
    }

    private static String language(Settings settings, String otherwise) {
        return settings.get("language", settings.get("name", otherwise));
    }

    private static UnaryOperator<TokenStream> edgeNgram(Settings settings) {
        UnaryOperator<TokenStream> front = grams("edgeNGram").filter(settings);
        String side = settings.get("side", "front");
        return switch (side) {
            case "front" -> front;
            case "back" -> in -> new ReverseStringFilter(front.apply(new ReverseStringFilter(in)));
            default -> throw new IllegalArgumentException("invalid side: " + side);
        };
    }

    private static UnaryOperator<TokenStream> ngram(Settings settings) {
        return grams("nGram").filter(settings);
    }

    private static LuceneFactory grams(String factory) {
        return LuceneFactory.of(factory).with("minGramSize", "min_gram", 1).with("maxGramSize", "max_gram", 2)
            .with("preserveOriginal", "preserve_original", false);
    }

    private static UnaryOperator<TokenStream> cjkBigram(Settings settings) {
        Settings.Builder scripts = Settings.builder().put("output_unigrams", settings.getAsBoolean("output_unigrams", false));
        settings.getAsList("ignored_scripts").forEach(script -> scripts.put(script, false));
        LuceneFactory factory = LuceneFactory.of("cjkBigram").with("outputUnigrams", "output_unigrams", false);
        for (String script : List.of("han", "hiragana", "katakana", "hangul")) {
            factory = factory.with(script, script, true);
        }
        return factory.filter(scripts.build());
    }

    private static UnaryOperator<TokenStream> wordDelimiter(Environment environment, Settings settings) {
        if (settings.getAsList("type_table").isEmpty() == false || settings.get("type_table_path") != null) {
            throw new IllegalArgumentException("The embedded node does not read [type_table].");
        }
        int flags = DELIMITER_FLAGS.entrySet().stream()
            .filter(flag -> settings.getAsBoolean(flag.getKey(), DELIMITER_DEFAULTS.contains(flag.getKey())))
            .mapToInt(Map.Entry::getValue).sum();
        boolean offsets = settings.getAsBoolean("adjust_offsets", true);
        CharArraySet protectedWords = Analysis.getWordSet(environment, settings, "protected_words");
        return in -> new WordDelimiterGraphFilter(in, offsets, WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, flags, protectedWords);
    }

    private static UnaryOperator<TokenStream> decompounder(Environment environment, Settings settings) {
        CharArraySet words = required(
            Analysis.getWordSet(environment, settings, "word_list"), "dictionary_decompounder", "word_list");
        int word = settings.getAsInt("min_word_size", CompoundWordTokenFilterBase.DEFAULT_MIN_WORD_SIZE);
        int min = settings.getAsInt("min_subword_size", CompoundWordTokenFilterBase.DEFAULT_MIN_SUBWORD_SIZE);
        int max = settings.getAsInt("max_subword_size", CompoundWordTokenFilterBase.DEFAULT_MAX_SUBWORD_SIZE);
        boolean longest = settings.getAsBoolean("only_longest_match", false);
        return in -> new DictionaryCompoundWordTokenFilter(in, words, word, min, max, longest);
    }

    private static UnaryOperator<TokenStream> keywordMarker(Environment environment, Settings settings) {
        if (settings.get("keywords_pattern") != null) {
            Pattern pattern = Pattern.compile(settings.get("keywords_pattern"));
            return in -> new PatternKeywordMarkerFilter(in, pattern);
        }
        CharArraySet words = required(Analysis.getWordSet(environment, settings, "keywords"), "keyword_marker", "keywords");
        CharArraySet keywords = new CharArraySet(words, settings.getAsBoolean("ignore_case", false));
        return in -> new SetKeywordMarkerFilter(in, keywords);
    }

    private static UnaryOperator<TokenStream> patternReplace(Settings settings) {
        Pattern pattern = Regex.compile(required(settings.get("pattern"), "pattern_replace", "pattern"), settings.get("flags"));
        String replacement = settings.get("replacement", "");
        boolean all = settings.getAsBoolean("all", true);
        return in -> new PatternReplaceFilter(in, pattern, replacement, all);
    }

    private static UnaryOperator<TokenStream> stemmerOverride(Environment environment, Settings settings) throws IOException {
        StemmerOverrideFilter.Builder builder = new StemmerOverrideFilter.Builder(false);
        for (String rule : required(Analysis.getWordList(environment, settings, "rules"), "stemmer_override", "rules")) {
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
        return in -> new StemmerOverrideFilter(in, map);
    }
}
