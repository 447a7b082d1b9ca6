"""A circuit as one HTML file that needs no network."""

from interp.circuit_view.page import page as page
