"""The level `restricted` of the Pod Security Standards, each of its controls.

A cluster checks pods only when they are created, and Deployments only by a warning; this says it before. The controls and
their allowed values are those of Kubernetes' own admission; of the values that only newer versions allow, none is
allowed here, but for the volume source `image`.
"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t"}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
HANDLERS = ("httpGet", "tcpSocket")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def pod_of(thing):
    """(metadata, spec) of the pod that an object makes; None if it makes none."""
    if thing["kind"] == "Pod":
        return thing["metadata"], thing["spec"]
    if thing["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"):
        template = thing["spec"]["template"]
        return template.get("metadata") or {}, template["spec"]
    return None


def unrestricted(thing):
    """Every violation of the level `restricted` by the pods of an object."""
    found = pod_of(thing)
    if found is None:
        return
    metadata, spec = found
    context = spec.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"
    for volume in spec.get("volumes") or []:
        for kind in sorted(volume.keys() - {"name"} - VOLUMES):
            yield f"volume {volume['name']} is of the kind {kind}"
    for sysctl in context.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"the sysctl {sysctl['name']} is not a safe one"
    for key, value in (metadata.get("annotations") or {}).items():
        if key.startswith(APPARMOR) and not (value in ("", "runtime/default") or value.startswith("localhost/")):
            yield f"the annotation {key} is {value!r}"
    yield from _unrestricted_context("the pod", context)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or []:
            yield from _unrestricted_container(container, context)


def _unrestricted_context(what, context):
    """What may be set for the pod as for a container."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{what}: windowsOptions.hostProcess is set"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{what}: seLinuxOptions are {selinux}"
    if context.get("runAsUser") == 0:
        yield f"{what}: runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield f"{what}: runAsNonRoot is false"
    profile = (context.get("seccompProfile") or {}).get("type")
    if profile not in (None, "RuntimeDefault", "Localhost"):
        yield f"{what}: seccompProfile is {profile}"
    profile = (context.get("appArmorProfile") or {}).get("type")
    if profile not in (None, "RuntimeDefault", "Localhost"):
        yield f"{what}: appArmorProfile is {profile}"


def _unrestricted_container(container, pod):
    what, context = f"container {container['name']}", container.get("securityContext") or {}
    yield from _unrestricted_context(what, context)
    if context.get("privileged"):
        yield f"{what}: privileged is true"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{what}: allowPrivilegeEscalation is not false"
    if context.get("procMount") not in (None, "Default"):
        yield f"{what}: procMount is {context['procMount']}"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield f"{what}: capabilities.drop lacks ALL"
    for capability in capabilities.get("add") or []:
        if capability != "NET_BIND_SERVICE":
            yield f"{what}: capabilities.add has {capability}"
    # A container inherits these two from its pod.
    if context.get("runAsNonRoot") is None and pod.get("runAsNonRoot") is not True:
        yield f"{what}: runAsNonRoot is not true"
    if "seccompProfile" not in context and "seccompProfile" not in pod:
        yield f"{what}: seccompProfile is not set"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield f"{what}: hostPort is {port['hostPort']}"
    handlers = [container.get(probe) for probe in PROBES] + list((container.get("lifecycle") or {}).values())
    for handler in (h for h in handlers if h):
        for kind in HANDLERS:
            if (handler.get(kind) or {}).get("host"):
                yield f"{what}: a probe or hook names the host {handler[kind]['host']}"
