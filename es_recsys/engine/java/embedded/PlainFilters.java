package embedded;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.StopFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.ar.ArabicNormalizationFilter;
import org.apache.lucene.analysis.bn.BengaliNormalizationFilter;
import org.apache.lucene.analysis.cjk.CJKBigramFilter;
import org.apache.lucene.analysis.cjk.CJKWidthFilter;
import org.apache.lucene.analysis.ckb.SoraniNormalizationFilter;
import org.apache.lucene.analysis.classic.ClassicFilter;
import org.apache.lucene.analysis.core.DecimalDigitFilter;
import org.apache.lucene.analysis.core.FlattenGraphFilter;
import org.apache.lucene.analysis.core.UpperCaseFilter;
import org.apache.lucene.analysis.de.GermanNormalizationFilter;
import org.apache.lucene.analysis.de.GermanStemFilter;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.fa.PersianNormalizationFilter;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.hi.HindiNormalizationFilter;
import org.apache.lucene.analysis.in.IndicNormalizationFilter;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.KeywordRepeatFilter;
import org.apache.lucene.analysis.miscellaneous.LengthFilter;
import org.apache.lucene.analysis.miscellaneous.LimitTokenCountFilter;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.miscellaneous.ScandinavianFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.ScandinavianNormalizationFilter;
import org.apache.lucene.analysis.miscellaneous.TrimFilter;
import org.apache.lucene.analysis.miscellaneous.TruncateTokenFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenFilter;
import org.apache.lucene.analysis.reverse.ReverseStringFilter;
import org.apache.lucene.analysis.shingle.ShingleFilter;
import org.apache.lucene.analysis.sr.SerbianNormalizationFilter;
import org.apache.lucene.analysis.tr.ApostropheFilter;
import org.apache.lucene.analysis.util.ElisionFilter;
import org.elasticsearch.index.analysis.PreConfiguredTokenFilter;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;

/** Token filters that a custom analyzer may name without defining them. */
final class PlainFilters {
    enum Kind { PLAIN, NORMALIZING, MULTIPLYING }

    private record Row(Kind kind, boolean complete, UnaryOperator<TokenStream> filter) {}

    private static final Map<String, Row> ALL = new HashMap<>();

    static {
        // Complete: there is nothing to set, so `type: NAME` is the same filter.
        complete("apostrophe", Kind.PLAIN, ApostropheFilter::new);
        complete("arabic_normalization", Kind.NORMALIZING, ArabicNormalizationFilter::new);
        complete("arabic_stem", Kind.PLAIN, Stemmers.of("arabic"));
        complete("bengali_normalization", Kind.NORMALIZING, BengaliNormalizationFilter::new);
        complete("cjk_width", Kind.NORMALIZING, CJKWidthFilter::new);
        complete("classic", Kind.PLAIN, ClassicFilter::new);
        complete("czech_stem", Kind.PLAIN, Stemmers.of("czech"));
        complete("decimal_digit", Kind.NORMALIZING, DecimalDigitFilter::new);
        complete("flatten_graph", Kind.PLAIN, FlattenGraphFilter::new);
        complete("german_normalization", Kind.NORMALIZING, GermanNormalizationFilter::new);
        complete("hindi_normalization", Kind.NORMALIZING, HindiNormalizationFilter::new);
        complete("indic_normalization", Kind.NORMALIZING, IndicNormalizationFilter::new);
        complete("keyword_repeat", Kind.MULTIPLYING, KeywordRepeatFilter::new);
        complete("kstem", Kind.PLAIN, KStemFilter::new);
        complete("persian_normalization", Kind.NORMALIZING, PersianNormalizationFilter::new);
        complete("porter_stem", Kind.PLAIN, PorterStemFilter::new);
        complete("remove_duplicates", Kind.PLAIN, RemoveDuplicatesTokenFilter::new);
        complete("reverse", Kind.PLAIN, ReverseStringFilter::new);
        complete("scandinavian_folding", Kind.NORMALIZING, ScandinavianFoldingFilter::new);
        complete("scandinavian_normalization", Kind.NORMALIZING, ScandinavianNormalizationFilter::new);
        complete("serbian_normalization", Kind.NORMALIZING, SerbianNormalizationFilter::new);
        complete("sorani_normalization", Kind.NORMALIZING, SoraniNormalizationFilter::new);
        complete("trim", Kind.NORMALIZING, TrimFilter::new);
        complete("uppercase", Kind.NORMALIZING, UpperCaseFilter::new);
        // By their defaults; ConfiguredFilters has the same names with settings.
        plain("asciifolding", Kind.NORMALIZING, ASCIIFoldingFilter::new);
        plain("cjk_bigram", Kind.PLAIN, CJKBigramFilter::new);
        plain("edge_ngram", Kind.MULTIPLYING, in -> new EdgeNGramTokenFilter(in, 1));
        plain("elision", Kind.NORMALIZING, in -> new ElisionFilter(in, FrenchAnalyzer.DEFAULT_ARTICLES));
        plain("french_stem", Kind.PLAIN, Stemmers.of("french"));
        plain("german_stem", Kind.PLAIN, GermanStemFilter::new);
        plain("length", Kind.PLAIN, in -> new LengthFilter(in, 0, Integer.MAX_VALUE));
        plain("limit", Kind.PLAIN, in -> new LimitTokenCountFilter(in, 1));
        plain("ngram", Kind.MULTIPLYING, in -> new NGramTokenFilter(in, 1, 2, false));
        plain("russian_stem", Kind.PLAIN, Stemmers.of("russian"));
        plain("shingle", Kind.MULTIPLYING, in -> new ShingleFilter(in, 2, 2));
        plain("snowball", Kind.PLAIN, Stemmers.snowball("English"));
        plain("stemmer", Kind.PLAIN, PorterStemFilter::new);
        plain("stop", Kind.PLAIN, in -> new StopFilter(in, EnglishAnalyzer.ENGLISH_STOP_WORDS_SET));
        plain("truncate", Kind.PLAIN, in -> new TruncateTokenFilter(in, 10));
        plain("word_delimiter_graph", Kind.MULTIPLYING,
            in -> new WordDelimiterGraphFilter(in, ConfiguredFilters.DELIMITER_DEFAULTS, null));
    }

    private PlainFilters() {}

    private static void complete(String name, Kind kind, UnaryOperator<TokenStream> filter) {
        ALL.put(name, new Row(kind, true, filter));
    }

    private static void plain(String name, Kind kind, UnaryOperator<TokenStream> filter) {
        ALL.put(name, new Row(kind, false, filter));
    }

    static List<PreConfiguredTokenFilter> named() {
        return ALL.entrySet().stream().map(entry -> {
            Row row = entry.getValue();
            return PreConfiguredTokenFilter.singleton(
                entry.getKey(), row.kind() == Kind.NORMALIZING, row.kind() != Kind.MULTIPLYING, row.filter()::apply);
        }).toList();
    }

    static Map<String, AnalysisProvider<TokenFilterFactory>> types() {
        Map<String, AnalysisProvider<TokenFilterFactory>> types = new HashMap<>();
        ALL.forEach((type, row) -> {
            if (row.complete()) {
                types.put(type, (index, environment, name, settings) -> switch (row.kind()) {
                    case PLAIN -> Filter.of(name, row.filter());
                    case NORMALIZING -> Filter.normalizing(name, row.filter());
                    case MULTIPLYING -> Filter.multiplying(name, row.filter());
                });
            }
        });
        types.put("lowercase", (index, environment, name, settings) -> Filter.normalizing(name, lowercase(settings.get("language"))));
        return types;
    }

    private static UnaryOperator<TokenStream> lowercase(String language) {
        return switch (language == null ? "" : language) {
            case "" -> LowerCaseFilter::new;
            case "greek" -> org.apache.lucene.analysis.el.GreekLowerCaseFilter::new;
            case "irish" -> org.apache.lucene.analysis.ga.IrishLowerCaseFilter::new;
            case "turkish" -> org.apache.lucene.analysis.tr.TurkishLowerCaseFilter::new;
            default -> throw new IllegalArgumentException("language [" + language + "] not support for lower case");
        };
    }
}
