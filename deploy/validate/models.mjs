// Checks objects against the schemas of their CRDs. Reads a list of objects as JSON, one list a line, and answers each with a
// line: a list of problems for each object.
//
// CRD schemas let unknown fields pass (the API server drops them silently). The packages' validators are plain functions that
// read each field they know, so an object that notes what was read tells which fields nobody knows.

//
// It is run by `node --eval` in the folder of the packages, because imports are looked up from there.

import { createInterface } from "node:readline";

const PACKAGES = [
  [/\.istio\.io$/, "istio"],
  [/^monitoring\.coreos\.com$/, "prometheus-operator"],
  [/^cert-manager\.io$/, "cert-manager"],
  [/^gateway\.networking\.k8s\.io$/, "gateway-api"],
];

const noting = (value, path, read) => value === null || typeof value !== "object" ? value : new Proxy(value, {
  get(target, key) {
    const inner = Reflect.get(target, key);
    if (typeof key !== "string" || !Object.hasOwn(target, key)) return inner;
    read.add(`${path}/${key}`);
    return noting(inner, `${path}/${key}`, read);
  },
});

const unread = (value, path, read) => value === null || typeof value !== "object" ? [] :
  Object.keys(value).flatMap((key) => read.has(`${path}/${key}`)
    ? unread(value[key], `${path}/${key}`, read)
    : [`${path}/${key}: unknown field`]);

async function problems(object) {
  const group = object.apiVersion.split("/")[0];
  const found = [], read = new Set();
  let model;
  try {
    const [, name] = PACKAGES.find(([pattern]) => pattern.test(group));
    model = (await import(`@kubernetes-models/${name}/${object.apiVersion}/${object.kind}`))[object.kind];
  } catch {
    return [`no schema for ${object.kind} of ${object.apiVersion}`];
  }
  try {
    model.prototype.validate.call(noting(object, "", read));
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    found.push(...error.errors.map((e) => `${e.instancePath || "(top)"}: ${e.message}`));
  }
  return [...found, ...unread(object, "", read)];
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = [];
  for (const object of JSON.parse(line)) answers.push(await problems(object));
  console.log(JSON.stringify(answers));
}
