"""The page that answers the question, and the pictures in it that a reader moves."""
