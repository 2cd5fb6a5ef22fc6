"""The HTTP API: reads of the books, commands of people, events of the day, in a process of its own."""
