"""YAML files to a validated plan."""
