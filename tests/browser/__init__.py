"""Tests that drive a real JupyterLab in Chromium. A package, so that its fixtures end with it."""
