"""The sweep: a line or a plane measured over its grid. No code here: `merge_files` is loaded without torch, `functions` with it."""

__all__: list[str] = []
