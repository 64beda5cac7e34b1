"""What a kilowatt-hour emits and costs, and what an API asks per token: facts with their source."""
