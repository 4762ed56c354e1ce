import type { RemoteFile } from "./store";

/** A file as Hugging Face's API describes it, with `blobs=true`. */
interface Sibling {
  rfilename: string;
  /** SHA-1 that git has for it. */
  blobId?: string;
  /** Of a large file. */
  lfs?: { sha256: string };
}

/**
 * The files of a model at one commit, each with a digest: SHA-256 for large ones, git's own for the others.
 *
 * @throws Error that names the URL when the Hub does not have them
 */
export async function modelFiles(hub: string, repository: string, commit: string): Promise<RemoteFile[]> {
  const url = `${hub}/api/models/${repository}/revision/${commit}?blobs=true`;
  const reply = await fetch(url);
  if (!reply.ok) {
    throw new Error(
      `${url} answers ${reply.status}: is the model's name right, and the commit one of its own?`,
    );
  }
  const { siblings = [] } = (await reply.json()) as { siblings?: Sibling[] };
  const files = siblings.map(({ rfilename: name, blobId, lfs }): RemoteFile => {
    if (!lfs && !blobId) {
      throw new Error(`${url} names no digest for ${name}: refusing to mirror what nothing vouches for`);
    }
    if (name.split("/").includes("..")) {
      throw new Error(`${url} names ${JSON.stringify(name)}, which would leave the prefix`);
    }
    return {
      name,
      url: `${hub}/${repository}/resolve/${commit}/${name.split("/").map(encodeURIComponent).join("/")}`,
      digest: lfs ? { sha256: lfs.sha256 } : { gitBlob: blobId! },
    };
  });
  if (!files.some(({ digest }) => "sha256" in digest)) {
    throw new Error(`${url} lists no large file: these are no weights`);
  }
  return files;
}
