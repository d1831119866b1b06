"""One small package for each service: ``app.py`` with ``build(context) -> Service`` is its door."""
