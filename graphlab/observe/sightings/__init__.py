"""One file for each kind of sighting of trace/sightings.py."""
