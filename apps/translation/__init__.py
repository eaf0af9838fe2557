"""Translation: from text to text, with attention and beam search."""
