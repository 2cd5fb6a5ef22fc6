"""The HTTP API: reads of the books, commands of people, events of the day. It runs in a thread of its own."""
