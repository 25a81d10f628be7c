"""Tests of the page in a browser (Chromium), in every size; skipped where there is no browser.

`serving` answers as the service does, `shapes` has the sizes. That each file is served and loads is in `test_files`.
"""
