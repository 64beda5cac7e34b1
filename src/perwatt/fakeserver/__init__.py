"""A server that speaks the OpenAI protocol with settable times and faults, and a known truth."""
