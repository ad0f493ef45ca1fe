"""Studies: what a lecture shows, measured over fixed seeds and held against claims that were written down before.

A study is a script of under a hundred lines that says what to train and to measure (`Study`), for one seed at one of three sizes
(`StudyRun`), and what has to come out (`Claim`); `main` makes a command of it, which writes surfaces, figures, a page, `result.json`
and a README.
"""

from __future__ import annotations

from landscape.zoo.study.command import add_options, main
from landscape.zoo.study.gallery import closing_table, gallery, write_gallery
from landscape.zoo.study.planes import told
from landscape.zoo.study.result import Result
from landscape.zoo.study.stage import StudyRun
from landscape.zoo.study.study import SEEDS, SIZES, Claim, Study

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
