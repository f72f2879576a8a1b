"""Drawings as SVG, made on the server: charts, maps, strips and graphs; none of them reads anything."""
