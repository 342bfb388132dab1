"""People with hidden tastes who use a system: the best answer to each wish is known, so regret and gain can be measured,
and experiments and interleaving be rehearsed before real people are in them."""

from es_recsys.simulator.conduct import GOALS, Conduct, Looked, Step
from es_recsys.simulator.estimates import Estimate, estimate, sample_size, sure_after
from es_recsys.simulator.experiments import Experiment, assign, compare, run_experiment
from es_recsys.simulator.insiders import Insider
from es_recsys.simulator.interleaving import Preference, interleave, team_draft
from es_recsys.simulator.judging import Judged, System, judge
from es_recsys.simulator.latent import LatentWorld
from es_recsys.simulator.replay import Page, Shoppers, draw_wishes, events_of
from es_recsys.simulator.sample import SampleWorld
from es_recsys.simulator.world import SimulatedNeed, World

__all__ = [
    "GOALS",
    "Conduct",
    "Estimate",
    "Experiment",
    "Insider",
    "Judged",
    "LatentWorld",
    "Looked",
    "Page",
    "Preference",
    "SampleWorld",
    "Shoppers",
    "SimulatedNeed",
    "Step",
    "System",
    "World",
    "assign",
    "compare",
    "draw_wishes",
    "estimate",
    "events_of",
    "interleave",
    "judge",
    "run_experiment",
    "sample_size",
    "sure_after",
    "team_draft",
]
