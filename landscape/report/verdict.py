"""What the self-check said of a surface, in one sentence that show, figures and page share."""

from __future__ import annotations

from landscape.core.surface import Surface

__all__ = ["describe_check"]


def describe_check(surface: Surface) -> str:
    """One sentence; empty where no check was made, as for imported surfaces.

    >>> checks = {"passed": 1, "check_points": 5, "check_largest_difference": 3e-7, "check_allowed": 2e-5}
    >>> describe_check(Surface("line", (), {}, {}, {}, checks=checks))
    'checked: 5 points re-evaluated independently, largest difference 3e-07 (allowed 2e-05)'
    """
    checks = surface.checks
    if "passed" not in checks:
        return ""
    if not checks["passed"]:
        return f"self-check FAILED: {checks.get('failure', 'landscape show tells what differs')}"
    if "check_points" not in checks:  # made by 0.1.0, which compared models alone
        return "self-check passed, at the models alone"
    n, difference, allowed = (checks.get(f"check_{name}", 0.0) for name in ("points", "largest_difference", "allowed"))
    return f"checked: {n:g} point{'s' * (n != 1)} re-evaluated independently, largest difference {difference:.1g} (allowed {allowed:.1g})"
