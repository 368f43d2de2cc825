/** Types of workers, by the package that brings them, each with the base job template of its work pools. */

const text = (title: string, description: string, more: Record<string, unknown> = {}) => ({
  title,
  description,
  type: "string",
  ...more,
});
const flag = (title: string, description: string, initial: boolean) => ({
  title,
  description,
  default: initial,
  type: "boolean",
});
const seconds = (title: string, description: string, more: Record<string, unknown> = {}) => ({
  title,
  description,
  type: "integer",
  ...more,
});
const texts = (title: string, description: string, more: Record<string, unknown> = {}) => ({
  title,
  description,
  type: "array",
  items: { type: "string" },
  ...more,
});
const pairs = (title: string, description: string) => ({
  title,
  description,
  type: "object",
  additionalProperties: { type: "string" },
});
const oneOf = (title: string, description: string, choices: string[], more: Record<string, unknown> = {}) =>
  text(title, description, { enum: choices, ...more });
const block = (title: string, description: string, definition: string) => ({
  title,
  description,
  allOf: [{ $ref: `#/definitions/${definition}` }],
});

/** What every type of worker asks. */
const COMMON = {
  name: text("Name", "What the infrastructure of a run is called."),
  env: pairs("Environment Variables", "Set in the environment that a run starts in."),
  labels: pairs("Labels", "Put on the infrastructure of a run."),
  command: text("Command", "What starts a run. Left empty, the worker knows it itself."),
};
const STREAM_OUTPUT = flag("Stream Output", "Whether the worker prints what a run prints.", true);
const IMAGE = text("Image", "The image a run starts from. Left empty, it is the newest image of Prefect.", {
  example: "docker.io/prefecthq/prefect:3-latest",
});

/** `{{ name }}` for each of the names: the settings that are handed on as they are. */
function handedOn<N extends string>(names: readonly N[]) {
  return Object.fromEntries(names.map((name) => [name, `{{ ${name} }}`]));
}

const PROCESS = {
  job_configuration: handedOn(["command", "env", "labels", "name", "stream_output", "working_dir"]),
  variables: {
    type: "object",
    properties: {
      ...COMMON,
      stream_output: STREAM_OUTPUT,
      working_dir: text("Working Directory", "Where a run starts. Left empty, it gets a directory for itself.", {
        format: "path",
      }),
    },
  },
};

const DOCKER = {
  job_configuration: handedOn([
    "command",
    "env",
    "labels",
    "name",
    "image",
    "registry_credentials",
    "image_pull_policy",
    "networks",
    "network_mode",
    "auto_remove",
    "volumes",
    "stream_output",
    "container_wait_timeout",
    "mem_limit",
    "memswap_limit",
    "privileged",
  ]),
  variables: {
    description: "What a container is made with.",
    type: "object",
    properties: {
      ...COMMON,
      image: IMAGE,
      registry_credentials: block(
        "Registry Credentials",
        "How to log in to the registry that the image comes from.",
        "DockerRegistryCredentials",
      ),
      image_pull_policy: oneOf("Image Pull Policy", "When the image is fetched.", [
        "IfNotPresent",
        "Always",
        "IfPossible",
        "Never",
      ]),
      networks: texts("Networks", "The networks that the container joins."),
      network_mode: text("Network Mode", "The container's network mode, such as host; not together with networks."),
      auto_remove: flag("Auto Remove", "Whether the container is removed when the run has ended.", false),
      volumes: texts("Volumes", "What is mounted into the container.", {
        example: ["/my/local/path:/path/in/container"],
      }),
      stream_output: STREAM_OUTPUT,
      container_wait_timeout: seconds(
        "Container Wait Timeout",
        "How many seconds the worker watches the container. It goes on unwatched after that; left empty, it is always watched.",
        { exclusiveMinimum: 0 },
      ),
      mem_limit: text("Memory Limit", "How much memory the container may use: 128m, 1g; bytes without a unit."),
      memswap_limit: text(
        "Memory Swap Limit",
        "How much memory and swap together; -1 for any amount of swap. It needs a memory limit, and is twice that if left empty.",
      ),
      privileged: flag("Privileged", "Whether the container gets all rights of its host.", false),
    },
    definitions: {
      DockerRegistryCredentials: {
        title: "DockerRegistryCredentials",
        description: "A login for a Docker registry.",
        type: "object",
        properties: {
          username: text("Username", "The user."),
          password: text("Password", "The user's password.", { writeOnly: true, format: "password" }),
          registry_url: text("Registry Url", "The registry's address; its scheme may be left out.", {
            example: "index.docker.io",
          }),
          reauth: flag("Reauth", "Whether to log in each time anew.", true),
        },
        required: ["username", "password", "registry_url"],
        block_type_slug: "docker-registry-credentials",
        secret_fields: ["password"],
        block_schema_references: {},
      },
    },
  },
};

const RESOURCES = {
  limits: { cpu: "{{ cpu_limit }}", memory: "{{ memory_limit }}" },
  requests: { cpu: "{{ cpu_request }}", memory: "{{ memory_request }}" },
};

const JOB_MANIFEST = {
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { labels: "{{ labels }}", namespace: "{{ namespace }}", generateName: "{{ name }}-" },
  spec: {
    backoffLimit: 0,
    ttlSecondsAfterFinished: "{{ finished_job_ttl }}",
    template: {
      spec: {
        parallelism: 1,
        completions: 1,
        restartPolicy: "Never",
        serviceAccountName: "{{ service_account_name }}",
        containers: [
          {
            name: "prefect-job",
            env: "{{ env }}",
            image: "{{ image }}",
            imagePullPolicy: "{{ image_pull_policy }}",
            args: "{{ command }}",
            resources: RESOURCES,
          },
        ],
      },
    },
  },
};

const KUBERNETES = {
  job_configuration: {
    ...handedOn(["command", "env", "labels", "name", "namespace"]),
    job_manifest: JOB_MANIFEST,
    ...handedOn(["cluster_config", "job_watch_timeout_seconds", "pod_watch_timeout_seconds", "stream_output"]),
  },
  variables: {
    description: "What a job on the cluster is made with.",
    type: "object",
    properties: {
      ...COMMON,
      namespace: text("Namespace", "The namespace of the jobs.", { default: "default" }),
      image: IMAGE,
      service_account_name: text("Service Account Name", "The service account that the jobs run as."),
      image_pull_policy: oneOf("Image Pull Policy", "When the image is fetched.", ["IfNotPresent", "Always", "Never"], {
        default: "IfNotPresent",
      }),
      finished_job_ttl: seconds(
        "Finished Job TTL",
        "After how many seconds Kubernetes removes a job that has ended. Left empty, it stays.",
      ),
      job_watch_timeout_seconds: seconds(
        "Job Watch Timeout Seconds",
        "How many seconds to wait for a job's next event. Left empty, the worker waits for as long as it takes.",
      ),
      pod_watch_timeout_seconds: seconds(
        "Pod Watch Timeout Seconds",
        "How many seconds to wait for a job's pod to be there.",
        { default: 60 },
      ),
      stream_output: STREAM_OUTPUT,
      cluster_config: block("Cluster Config", "How the cluster is reached.", "KubernetesClusterConfig"),
      cpu_request: text("CPU Request", "How much CPU is asked for: 500m is half of one. Left empty, none is."),
      cpu_limit: text("CPU Limit", "How much CPU may be used: 500m is half of one. Left empty, any."),
      memory_request: text("Memory Request", "How much memory is asked for: 128Mi, 1Gi. Left empty, none is."),
      memory_limit: text("Memory Limit", "How much memory may be used: 128Mi, 1Gi. Left empty, any."),
    },
    definitions: {
      KubernetesClusterConfig: {
        title: "KubernetesClusterConfig",
        description: "The way to a Kubernetes cluster.",
        type: "object",
        properties: {
          config: { title: "Config", description: "The content of a kubectl configuration.", type: "object" },
          context_name: text("Context Name", "The context in it."),
        },
        required: ["config", "context_name"],
        block_type_slug: "kubernetes-cluster-config",
        secret_fields: [],
        block_schema_references: {},
      },
    },
  },
};

/** The answer of `/collections/views/aggregate-worker-metadata`. */
export const WORKERS = {
  prefect: {
    process: {
      default_base_job_configuration: PROCESS,
      description: "Runs flows as processes on the machine of the worker. The one to begin with.",
      display_name: "Process",
      documentation_url: "https://docs.prefect.io/latest/api-ref/prefect/workers/process/",
      install_command: "pip install prefect",
      is_beta: false,
      logo_url: "",
      type: "process",
    },
  },
  "prefect-docker": {
    docker: {
      default_base_job_configuration: DOCKER,
      description: "Runs each flow in a Docker container of its own. Needs a Docker daemon within reach of the worker.",
      display_name: "Docker",
      documentation_url: "https://prefecthq.github.io/prefect-docker/worker/",
      install_command: "pip install prefect-docker",
      is_beta: false,
      logo_url: "",
      type: "docker",
    },
  },
  "prefect-kubernetes": {
    kubernetes: {
      default_base_job_configuration: KUBERNETES,
      description: "Runs each flow as a job on a Kubernetes cluster.",
      display_name: "Kubernetes",
      documentation_url: "https://prefecthq.github.io/prefect-kubernetes/worker/",
      install_command: "pip install prefect-kubernetes",
      is_beta: false,
      logo_url: "",
      type: "kubernetes",
    },
  },
};
