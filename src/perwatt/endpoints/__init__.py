"""How a model is asked: any OpenAI-compatible server, or llama.cpp embedded in a child process."""
