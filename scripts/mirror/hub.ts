import type { RemoteFile } from "./store";

/** A file as Hugging Face's API describes it, with `blobs=true`. */
interface Sibling {
  rfilename: string;
  /** Git's SHA-1 of the file. */
  blobId?: string;
  /** Only for a large file. */
  lfs?: { sha256: string };
}

/**
 * The files of a model at one commit, each with a digest: SHA-256 for large files, git's own for the others.
 *
 * @throws Error that names the URL if the Hub does not have them
 */
export async function modelFiles(hub: string, repository: string, commit: string): Promise<RemoteFile[]> {
  const url = `${hub}/api/models/${repository}/revision/${commit}?blobs=true`;
  const reply = await fetch(url);
  if (!reply.ok) {
    throw new Error(`${url} returned ${reply.status}: check the model's name and the commit`);
  }
  const { siblings = [] } = (await reply.json()) as { siblings?: Sibling[] };
  const files = siblings.map(({ rfilename: name, blobId, lfs }): RemoteFile => {
    if (!lfs && !blobId) {
      throw new Error(`${url} has no digest for ${name}, so the file cannot be verified`);
    }
    if (name.split("/").includes("..")) {
      throw new Error(`${url} lists ${JSON.stringify(name)}, which is outside the prefix`);
    }
    return {
      name,
      url: `${hub}/${repository}/resolve/${commit}/${name.split("/").map(encodeURIComponent).join("/")}`,
      digest: lfs ? { sha256: lfs.sha256 } : { gitBlob: blobId! },
    };
  });
  if (!files.some(({ digest }) => "sha256" in digest)) {
    throw new Error(`${url} lists no large file, so it has no weights`);
  }
  return files;
}
