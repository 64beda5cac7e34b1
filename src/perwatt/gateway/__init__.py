"""The OpenAI-compatible address in front of a server: every answer metered in joules."""
