"""The faults that the checks of the chart and the kustomizations must report, one at a time."""

from . import ISTIO, KUSTOMIZE
from .objects import the

GIT = KUSTOMIZE / "overlays" / "git-sync"


def chart_faults():
    """(what is broken, how, a piece of the problem that must be reported)"""

    def helm(name, kind, change):
        return lambda state: change(the([t for t in state["chart"]["helm"][name] if "test" not in t["metadata"]["name"]
                                         and t["metadata"]["name"] in ("customs", "customs-system")], kind))

    def kustomize(folder, kind, change):
        return lambda state: change(the(state["chart"]["kustomize"][folder], kind))

    def pod(change, name="enforce"):
        return helm(name, "Deployment", lambda d: change(d["spec"]["template"]["spec"]))

    def container(change, name="enforce"):
        return pod(lambda spec: change(spec["containers"][0]), name)

    def template(change):
        return helm("enforce", "Deployment", lambda d: change(d["spec"]["template"]["metadata"]))

    def context(change):
        return container(lambda c: change(c["securityContext"]))

    def git(change):
        return pod(lambda spec: change(spec["initContainers"][0]), "git-sync")

    def chart(change):
        return lambda state: change(state["chart"])

    def put(key, value):
        return lambda mapping: mapping.__setitem__(key, value)

    def drop(key):
        return lambda mapping: mapping.__delitem__(key)

    def arg(old, new, name="enforce"):
        return container(lambda c: c.update(args=[a.replace(old, new) for a in c["args"]]), name)

    def without(kind, name):
        return chart(lambda c: c["helm"].update({name: [t for t in c["helm"][name] if t["kind"] != kind or "test" in t["metadata"]["name"]]}))

    def schema(change):
        return chart(lambda c: change(c["schema"]["properties"]))

    def notes(old, new):
        def change(c):
            text, labels = c["notes"]["default"]
            assert old in text, f"NOTES.txt has no {old}"
            c["notes"]["default"] = text.replace(old, new), labels
        return chart(change)

    equal = [
        ("a chart with another number of replicas", helm("enforce", "Deployment", lambda d: put("replicas", 3)(d["spec"])), "differs at /spec/replicas: helm 3, kustomize 2"),
        ("a chart with another argument", arg("--drain-delay=5s", "--drain-delay=6s"), 'differs at /spec/template/spec/containers/0/args/4: helm "--drain-delay=6s"'),
        ("a chart with an argument more", container(lambda c: c["args"].append("--threads=2")), '/args/7: helm "--threads=2", kustomize "nothing"'),
        ("a number that is text", helm("enforce", "Service", lambda s: put("port", "9191")(s["spec"]["ports"][0])), 'differs at /spec/ports/0/port: helm "9191", kustomize 9191'),
        ("a chart without an object", without("PodDisruptionBudget", "enforce"), "PodDisruptionBudget/customs-system/customs is rendered by kustomize only"),
        ("a kustomization without an object", chart(lambda c: c["kustomize"].update({GIT: [t for t in c["kustomize"][GIT] if t["metadata"]["name"] != "customs-git-sync"]})), "NetworkPolicy/customs-system/customs-git-sync is rendered by helm only"),
        ("a kustomization with another image of git-sync", kustomize(GIT, "Deployment", lambda d: put("image", "git-sync:v3")(d["spec"]["template"]["spec"]["initContainers"][0])), "differs at /spec/template/spec/initContainers/0/image"),
        ("a label that only one side has", kustomize(ISTIO / "enforce", "Service", lambda s: put("team", "a")(s["metadata"]["labels"])), "differs at /metadata/labels/team"),
        ("an alert that only one side has", helm("monitored", "PrometheusRule", lambda r: r["spec"]["groups"].pop()), "differs at /spec/groups/"),
        ("a chart without the namespace's label", helm("tls-sidecar", "Namespace", lambda n: put("istio-injection", "disabled")(n["metadata"]["labels"])), "differs at /metadata/labels/istio-injection"),
        ("an overlay without values", chart(lambda c: c["overlays"].append(KUSTOMIZE / "overlays" / "other")), "overlays/other is in no pair"),
        ("values without an overlay", chart(lambda c: [c[part].update(other=empty) for part, empty in (("helm", []), ("lint", []), ("texts", ""))]), "ci/other-values.yaml is in no pair"),
        ("values that are gone", chart(lambda c: c["helm"].pop("audited")), "ci/audited-values.yaml is missing"),
    ]
    generated = [
        ("a render that is not golden", chart(lambda c: c["texts"].update(trial=c["texts"]["trial"].replace("--enforcement=report", "--enforcement=enforce"))), "golden/trial.yaml:"),
        ("a golden file that is missing", chart(lambda c: c["golden"].pop("trial")), "golden/trial.yaml is missing"),
        ("a render that ends early", chart(lambda c: c["texts"].update(trial=c["texts"]["trial"][:-200])), "golden/trial.yaml"),
        ("a chart that does not lint", chart(lambda c: c["lint"].update(trial=["[ERROR] templates/"])), "[ERROR] templates/"),
        ("alerts whose copy is stale", chart(lambda c: c["copies"].update({"helm/customs/files/alerts.yaml": ("groups: []\n", "groups:\n")})), "is stale: deploy/helm/generate writes it"),
        ("a table of values that is stale", chart(lambda c: put("readme", (c["readme"][0], c["readme"][1] + "| `new` |"))(c)), "is stale"),
        ("a value without a comment", chart(lambda c: put("values", c["values"] + "\n\nnew: 1\n")(c)), "new has no comment in values.yaml"),
        ("a value that the schema does not know", chart(lambda c: put("values", c["values"] + "\n# New.\nnew: 1\n")(c)), "values.yaml has new, which the schema does not know"),
        ("a schema that knows a value more", schema(put("new", {"type": "string"})), "the schema knows new, which values.yaml lacks"),
        ("a schema that lets unknown keys pass", schema(lambda p: p["image"].pop("additionalProperties")), "the schema lets unknown keys pass in image"),
        ("a chart of another version", chart(lambda c: put("appVersion of Chart.yaml", "0.0.9")(c["versions"])), "appVersion of Chart.yaml has 0.0.9, and Cargo.toml"),
        ("values that must be refused and are taken", chart(lambda c: put(0, None)(c["refused"])), "is taken"),
        ("a refusal that does not name the place", chart(lambda c: put(0, "Error: no")(c["refused"])), "no message says 'replica is not allowed'"),
        ("notes with another provider", notes("name: customs", "name: custom"), "step 1 is not the provider of trial/mesh-config.yaml"),
        ("notes without a timeout", notes("        timeout: 0.5s\n", ""), "step 1 is not the provider of trial/mesh-config.yaml"),
        ("notes with another label", notes("istio-injection=disabled", "istio-injection=enabled"), "the namespace gets the labels"),
        ("notes whose steps are swapped", notes("\n1. ", "\n3. "), "the two steps are not there"),
    ]
    whole = [
        ("an unknown field in the chart", container(put("imagePullPolice", "Always")), "'imagePullPolice' was unexpected"),
        ("an unknown field of a PodMonitor", helm("monitored", "PodMonitor", lambda m: put("selectors", {})(m["spec"])), "/spec/selectors: unknown field"),
        ("an alert without an expression", helm("monitored", "PrometheusRule", lambda r: drop("expr")(r["spec"]["groups"][0]["rules"][0])), "expr"),
        ("an unknown field of a Certificate", lambda s: put("dnsName", "a")(next(t for t in s["chart"]["helm"]["tls-secret"] if t["kind"] == "Certificate")["spec"]), "/spec/dnsName: unknown field"),
        ("a HorizontalPodAutoscaler of an old version", helm("monitored", "HorizontalPodAutoscaler", put("apiVersion", "autoscaling/v2beta2")), "Couldn't find schema"),
        ("an image volume with an unknown field", pod(lambda s: put("image", {"name": "a"})(s["volumes"][0]), "image-volume"), "'name' was unexpected"),
        ("a field that the oldest Kubernetes does not know", helm("enforce", "Service", lambda s: put("trafficDistribution", "PreferClose")(s["spec"])), "'trafficDistribution' was unexpected"),
        ("an argument that customs does not know", arg("--drain-delay", "--drain-time"), "customs serve has no flag --drain-time"),
        ("another command", container(lambda c: put(0, "server")(c["args"])), "the command is 'server'"),
        ("a volume that nothing mounts", pod(lambda s: s["volumes"].append({"name": "more", "emptyDir": {}})), "the volume more is mounted nowhere"),
        ("a mount without a volume", container(lambda c: c["volumeMounts"].append({"name": "more", "mountPath": "/more"})), "no volume is called more"),
        ("two volumes of one name", pod(lambda s: s["volumes"].append(s["volumes"][0])), "two volumes have one name"),
        ("policies mounted with subPath", container(lambda c: put("subPath", "a.yaml")(c["volumeMounts"][0])), "mounted with subPath"),
        ("policies that are mounted elsewhere", arg("/etc/customs/policies/customs-policies-teams", "/etc/teams", "several-config-maps"), "nothing is mounted at /etc/teams"),
        ("git-sync's files under another path", arg("/etc/customs/git", "/git", "git-sync"), "nothing is mounted at /git/current/policies"),
        ("an audit log on a read-only volume", container(lambda c: [m.update(readOnly=True) for m in c["volumeMounts"]], "audited"), "is on a volume that is read-only"),
        ("policies on a writable volume", container(lambda c: drop("readOnly")(c["volumeMounts"][0])), "is on a volume that is writable"),
        ("a grace period shorter than the drain", pod(put("terminationGracePeriodSeconds", 9)), "terminationGracePeriodSeconds must be more"),
        ("a sampler with an argument that it does not take", container(lambda c: [e.update(value="always_on") for e in c["env"] if e["name"] == "OTEL_TRACES_SAMPLER"], "audited"), "OTEL_TRACES_SAMPLER_ARG must be set exactly if"),
        ("replicas beside an autoscaler", helm("monitored", "Deployment", lambda d: put("replicas", 2)(d["spec"])), "replicas must be set exactly if"),
        ("a gRPC probe of a port with TLS", container(put("readinessProbe", {"grpc": {"port": 9191}}), "tls-secret"), "the readiness probe must be gRPC exactly if"),
        ("a probe of a port that nobody has", container(lambda c: put("port", "http")(c["livenessProbe"]["httpGet"])), "a probe names the port http"),
        ("a Secret that customs cannot read", pod(lambda s: drop("fsGroup")(s["securityContext"]), "tls-secret"), "fsGroup is not 65532"),
        ("settings that are in no object", chart(lambda c: c["helm"].update(everything=[t for t in c["helm"]["everything"] if t["metadata"]["name"] != "customs-settings"])), "the ConfigMap customs-settings is in no object"),
        ("a collector behind a closed door", chart(lambda c: c["helm"].update(audited=[t for t in c["helm"]["audited"] if t["metadata"]["name"] != "customs-collector"])), "no NetworkPolicy lets the pods reach port 4317"),
        ("a collector that nobody can find", chart(lambda c: next(t for t in c["helm"]["audited"] if t["metadata"]["name"] == "customs-collector")["spec"]["egress"].pop(0)), "reach DNS"),
        ("a repository behind a closed door", chart(lambda c: next(t for t in c["helm"]["git-sync"] if t["metadata"]["name"] == "customs-git-sync")["spec"]["egress"].pop()), "lets git-sync reach the repository"),
    ]
    restricted = [
        *((f"a pod with {field}", pod(put(field, True)), f"{field} is set") for field in ("hostNetwork", "hostPID", "hostIPC")),
        ("a hostPath volume", pod(lambda s: put(0, {"name": "policies", "hostPath": {"path": "/etc"}})(s["volumes"])), "volume policies is of the kind hostPath"),
        ("an NFS volume", pod(lambda s: put(0, {"name": "policies", "nfs": {"server": "a", "path": "/"}})(s["volumes"])), "volume policies is of the kind nfs"),
        ("an unsafe sysctl", pod(lambda s: put("sysctls", [{"name": "kernel.msgmax", "value": "1"}])(s["securityContext"])), "the sysctl kernel.msgmax"),
        ("an unconfined AppArmor annotation", template(lambda m: put("container.apparmor.security.beta.kubernetes.io/customs", "unconfined")(m["annotations"])), "is 'unconfined'"),
        ("an unconfined AppArmor profile", context(put("appArmorProfile", {"type": "Unconfined"})), "appArmorProfile is Unconfined"),
        ("a Windows host process", context(put("windowsOptions", {"hostProcess": True})), "windowsOptions.hostProcess is set"),
        ("a type of SELinux", context(put("seLinuxOptions", {"type": "spc_t"})), "seLinuxOptions are"),
        ("a user of SELinux", pod(lambda s: put("seLinuxOptions", {"user": "system_u"})(s["securityContext"])), "the pod: seLinuxOptions are"),
        ("root", context(put("runAsUser", 0)), "container customs: runAsUser is 0"),
        ("a container that may be root", context(put("runAsNonRoot", False)), "container customs: runAsNonRoot is false"),
        ("a pod that may be root", pod(lambda s: drop("runAsNonRoot")(s["securityContext"])), "container customs: runAsNonRoot is not true"),
        ("an unconfined seccomp profile", context(put("seccompProfile", {"type": "Unconfined"})), "seccompProfile is Unconfined"),
        ("no seccomp profile", pod(lambda s: drop("seccompProfile")(s["securityContext"])), "container customs: seccompProfile is not set"),
        ("a privileged container", context(put("privileged", True)), "privileged is true"),
        ("privileges that may grow", context(drop("allowPrivilegeEscalation")), "allowPrivilegeEscalation is not false"),
        ("an unmasked /proc", context(put("procMount", "Unmasked")), "procMount is Unmasked"),
        ("capabilities that are kept", context(put("capabilities", {"drop": ["NET_RAW"]})), "capabilities.drop lacks ALL"),
        ("a capability that is added", context(lambda c: put("add", ["NET_ADMIN"])(c["capabilities"])), "capabilities.add has NET_ADMIN"),
        ("a port of the host", container(lambda c: put("hostPort", 9191)(c["ports"][0])), "hostPort is 9191"),
        ("a probe of another host", container(lambda c: put("host", "169.254.169.254")(c["livenessProbe"]["httpGet"])), "names the host 169.254.169.254"),
        ("a hook that calls another host", container(put("lifecycle", {"preStop": {"tcpSocket": {"host": "a", "port": 1}}})), "names the host a"),
        ("an init container with privileges", git(lambda c: drop("allowPrivilegeEscalation")(c["securityContext"])), "container git-sync: allowPrivilegeEscalation is not false"),
        ("a test pod with privileges", lambda s: put("privileged", True)(the(s["chart"]["helm"]["default"], "Pod")["spec"]["containers"][0]["securityContext"]), "container status: privileged is true"),
    ]
    return equal + generated + whole + restricted
