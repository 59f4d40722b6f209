"""Makes previews of photos for reviewers."""
