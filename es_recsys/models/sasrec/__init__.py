"""SASRec: self-attention over the sequence of what a user liked."""

from es_recsys.models.sasrec.config import SASRecConfig
from es_recsys.models.sasrec.model import SASRec

__all__ = ["SASRec", "SASRecConfig"]
