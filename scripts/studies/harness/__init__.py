"""Studies: what a lecture shows, measured over fixed seeds and held against claims that were written down before.

A study is a script of under a hundred lines that says what to train and to measure (`Study`), for one seed at one of three sizes
(`StudyRun`), and what has to come out (`Claim`); `main` makes a command of it, which writes surfaces, figures, a page, `result.json`
and a README.
"""

from __future__ import annotations

from harness.command import add_options, main
from harness.gallery import closing_table, gallery, write_gallery
from harness.planes import told
from harness.result import Result
from harness.study import SEEDS, SIZES, Claim, Study
from harness.study_run import StudyRun

__all__ = [
    "SEEDS",
    "SIZES",
    "Claim",
    "Result",
    "Study",
    "StudyRun",
    "add_options",
    "closing_table",
    "gallery",
    "main",
    "told",
    "write_gallery",
]
