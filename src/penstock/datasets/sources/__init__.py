"""Where rows come from: files, queries, addresses, buckets, Delta tables; each tells where and how."""
