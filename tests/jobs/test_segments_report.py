from __future__ import annotations

from es_recsys.jobs.segments import SegmentsReport
from es_recsys.models.segment_profiles import SegmentProfile


def segments_report(silhouettes: dict[int, float]) -> str:
    profiles = tuple(SegmentProfile(number, "", 30, 0.5, (), (), (), {}) for number in range(2))
    return "\n".join(SegmentsReport(3, profiles, silhouettes, {}).lines())


def test_the_number_of_segments_is_told_as_it_was_found() -> None:
    said = segments_report({10: 0.1, 2: 0.3})
    assert "2 segments of 60 users in version 3." in said
    assert "2 segments have the highest mean silhouette; tried: 2 (0.300), 10 (0.100)." in said
    assert "10 segments have the highest mean silhouette, of which those of fewer than 20 users were merged" in segments_report(
        {2: 0.1, 10: 0.3}
    )
