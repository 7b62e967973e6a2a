"""The whole tree's tests find their servers through one plugin."""

pytest_plugins = ("localplatform.fixtures",)
