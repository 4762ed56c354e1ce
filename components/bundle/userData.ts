import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { PATHS } from "./contract";
import { environment, environmentFile, type InstanceConfig } from "./instanceConfig";
import { bootstrapUnit, FETCH_SCRIPT, PACKAGES_SCRIPT } from "./systemd/bootstrapUnit";

/** EC2's limit on user data, in bytes before base64. */
export const USER_DATA_LIMIT = 16384;

const bootstrapFiles = join(__dirname, "..", "..", "machine", "bootstrap");

/**
 * The instance's user data: one cloud-init document that installs a bootstrap unit and starts it. Everything large is
 * in the bundle, which the unit downloads and checks. The document contains no secret, because any process on the
 * instance and anyone who can read the instance's attributes can see it.
 *
 * @throws Error if the document is longer than {@link USER_DATA_LIMIT}.
 */
export function renderUserData(config: InstanceConfig): string {
  const document = `#cloud-config\n${stringify(cloudConfig(config), { lineWidth: 0 })}`;
  const size = Buffer.byteLength(document);
  if (size > USER_DATA_LIMIT) {
    throw new Error(
      `the user data is ${size} bytes; EC2 allows ${USER_DATA_LIMIT}: move large parts into the bundle`,
    );
  }
  return document;
}

function cloudConfig(config: InstanceConfig): object {
  return {
    write_files: [
      {
        path: PATHS.environment,
        permissions: "0600",
        content: environmentFile(environment(config)),
      },
      {
        path: PATHS.bootstrapEnvironment,
        permissions: "0600",
        content: environmentFile({
          BUNDLE_KEY: config.bundleKey,
          BUNDLE_SHA256: config.bundleSha256,
          ...(config.httpsProxy && {
            http_proxy: config.httpsProxy,
            https_proxy: config.httpsProxy,
            no_proxy: noProxy(config),
          }),
        }),
      },
      script(PACKAGES_SCRIPT, "packages.sh"),
      script(FETCH_SCRIPT, "fetch_bundle.py"),
      {
        path: "/etc/systemd/system/qwen3-bootstrap.service",
        permissions: "0644",
        content: bootstrapUnit(),
      },
    ],
    runcmd: [
      ["systemctl", "daemon-reload"],
      // --no-block, so that cloud-init ends. The unit retries after a failure and after a reboot.
      ["systemctl", "enable", "--now", "--no-block", "qwen3-bootstrap.service"],
    ],
  };
}

function script(path: string, file: string): object {
  return { path, permissions: "0755", content: readFileSync(join(bootstrapFiles, file), "utf8") };
}

/** Requests for credentials and to AWS never use the proxy for packages. */
function noProxy(config: InstanceConfig): string {
  const hosts = ["169.254.169.254", "127.0.0.1", "localhost", ".amazonaws.com", ".amazonaws.com.cn"];
  if (config.awsEndpointUrl) {
    hosts.push(new URL(config.awsEndpointUrl).hostname);
  }
  return hosts.join(",");
}
