"""Simulated users with hidden tastes, to measure and rehearse with; nothing of the product imports this.

An environment has users and items with known utilities, and draws needs; a click model says what users do with a page;
`UserSimulator` turns needs and answers into pages and events. As the best answer to each need is known, `measure_regret`
tells what an answer lacks, and A/B tests and interleaving can be rehearsed before real people are in them.
"""

from es_recsys.simulator.ab_test import ABTestResult, assign_variant, compare_variants, run_ab_test
from es_recsys.simulator.click_model import GOALS, LogisticResponse, PageOutcome, PositionBasedModel
from es_recsys.simulator.environment import Environment, SimulatedNeed
from es_recsys.simulator.estimates import estimate, is_sure, p_value, sample_size, significant_after, standard_error
from es_recsys.simulator.interleaving import InterleavingResult, interleave, team_draft
from es_recsys.simulator.latent_environment import LatentFactorEnvironment
from es_recsys.simulator.oracle import OracleRanker
from es_recsys.simulator.regret import RankingSystem, RegretReport, measure_regret
from es_recsys.simulator.sample_environment import SampleStoreEnvironment
from es_recsys.simulator.user_simulator import SimulatedPage, UserSimulator, page_events, sample_needs

__all__ = [
    "GOALS",
    "ABTestResult",
    "Environment",
    "InterleavingResult",
    "LatentFactorEnvironment",
    "LogisticResponse",
    "OracleRanker",
    "PageOutcome",
    "PositionBasedModel",
    "RankingSystem",
    "RegretReport",
    "SampleStoreEnvironment",
    "SimulatedNeed",
    "SimulatedPage",
    "UserSimulator",
    "assign_variant",
    "compare_variants",
    "estimate",
    "interleave",
    "is_sure",
    "measure_regret",
    "p_value",
    "page_events",
    "run_ab_test",
    "sample_needs",
    "sample_size",
    "significant_after",
    "standard_error",
    "team_draft",
]
