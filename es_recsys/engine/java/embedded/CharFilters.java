package embedded;

import java.io.Reader;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.charfilter.HTMLStripCharFilter;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.pattern.PatternReplaceCharFilter;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.PreConfiguredCharFilter;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;

/** Elasticsearch's char filters by name, settings and defaults. */
final class CharFilters {
    private static final Pattern MAPPING = Pattern.compile("(.*)\\s*=>\\s*(.*)\\s*$");
    private static final Pattern ESCAPE = Pattern.compile("\\\\(?:u([0-9a-fA-F]{4})|(.))");

    private CharFilters() {}

    static List<PreConfiguredCharFilter> named() {
        return List.of(PreConfiguredCharFilter.singleton("html_strip", false, HTMLStripCharFilter::new));
    }

    static Map<String, AnalysisProvider<CharFilterFactory>> types() {
        return Map.of(
            "html_strip", (index, environment, name, settings) -> {
                Set<String> escaped = new HashSet<>(settings.getAsList("escaped_tags"));
                return charFilter(name, in -> new HTMLStripCharFilter(in, escaped), false);
            },
            "mapping", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                NormalizeCharMap map = mapping(environment, settings);
                return charFilter(name, in -> new MappingCharFilter(map, in), true);
            }),
            "pattern_replace", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                if (settings.get("pattern") == null) {
                    throw new IllegalArgumentException("pattern is missing for [" + name + "] char filter of type 'pattern_replace'");
                }
                Pattern pattern = Regex.compile(settings.get("pattern"), settings.get("flags"));
                String replacement = settings.get("replacement", "");
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
