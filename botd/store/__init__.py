"""The state file: tables, the journal (only writer), read models, migrations."""
