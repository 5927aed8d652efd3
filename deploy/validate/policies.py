"""The ConfigMaps of policies hold policies."""

POLICY_KINDS = {
    ("egress.customs/v1alpha1", "EgressPolicy"),
    ("egress.customs/v1alpha1", "DestinationSet"),
    ("egress.customs/v1alpha1", "PolicyTest"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1beta1", "AuthorizationPolicy"),
}


def policy_documents(tools, config_map):
    """(key, document) of everything in the ConfigMap, and the problems of what is not a document."""
    found, problems = [], []
    for key, text in config_map.get("data", {}).items():
        if not key.endswith((".yaml", ".yml")):
            problems.append(f"{key}: customs reads only .yaml and .yml")
        try:
            documents = tools.documents(text)
        except tools.yaml.YAMLError as error:
            problems.append(f"{key}: {' '.join(str(error).split())}")
            continue
        if not documents:
            problems.append(f"{key}: holds no document")
        for document in documents:
            if not isinstance(document, dict):
                problems.append(f"{key}: a document that is not a mapping")
            elif (document.get("apiVersion"), document.get("kind")) not in POLICY_KINDS:
                problems.append(f"{key}: {document.get('kind')} of {document.get('apiVersion')} is no policy")
            else:
                found.append((key, document))
    if not config_map.get("data"):
        problems.append("holds no policy")
    return found, problems
