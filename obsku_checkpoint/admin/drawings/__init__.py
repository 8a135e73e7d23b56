"""Drawings as SVG: geometry in attributes, colours by classes, so that the page holds no style. Know no database."""
