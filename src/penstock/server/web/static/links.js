// Links that MLflow's clients print name a page behind the sign #, which no server sees: lead on to that page here.
(() => {
  const named = location.hash.match(/^#\/(experiments\/\d+(?:\/runs\/[^/?#]+)?|models\/[^/?#]+(?:\/versions\/\d+)?|experiments|models)(?=[/?]|$)/);
  if (named) location.replace("/" + named[1].replace("/versions/", "/"));
})();
