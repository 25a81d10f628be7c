"""The fixtures of the pytest plugin, its marker and setting, and its page."""
