"""Build the course as a site: `python docs/build.py`, and `--serve` to look at it.

Notebooks are shown as they were run last; nothing is executed. Warnings are errors.
"""

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

from pages import ROOT, BrokenLink, assemble  # noqa: E402


def npm(*words: str, folder: Path = DOCS) -> None:
    """Run npm in a folder, or say in one sentence why that cannot be."""
    if not (program := shutil.which("npm")):
        sys.exit(
            "The site needs npm, which comes with Node.js 20 or newer: install it from https://nodejs.org."
        )
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"npm {' '.join(words)} failed in {folder}:\n{done.stdout}{done.stderr}")


def install_packages() -> None:
    """What docs/package-lock.json names, unless it is there already."""
    lock, done = DOCS / "package-lock.json", DOCS / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        npm("ci", "--no-audit", "--no-fund")
        done.touch()


def build_laboratory(folder: Path) -> None:
    """What docs/lab.md shows: its programs in one file each, its network, its frames, its still pictures."""
    from lab.files import write_files  # here, since it needs more packages than a book does

    modules = DOCS / "node_modules"
    programs = [str(DOCS / "lab" / name) for name in ("main.js", "worker.js")]
    bundle = ["--bundle", "--format=esm", "--minify", "--log-level=warning", f"--outdir={folder}"]
    npm("exec", "--offline", "--", "esbuild", *programs, *bundle)
    shutil.copy(DOCS / "lab" / "lab.css", folder)
    shutil.copytree(DOCS / "lab" / "stills", folder / "stills")
    write_files(folder, modules / "onnxruntime-web" / "dist" / "ort-wasm-simd-threaded.wasm")


def build(out: Path, builder: str = "html") -> Path:
    """Build the site (or with `epub` the book) into a folder; one that was built before goes."""
    if out.is_dir() and any(out.iterdir()) and not any(out.glob("index.*html")):  # a book's is index.xhtml
        sys.exit(f"{out} holds something else than a built site or book; name a new folder.")
    work = out.parent / f"{out.name}-work"
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    install_packages()
    static = work / "static"
    static.mkdir(parents=True)
    if builder == "html":
        build_laboratory(static / "lab")
    try:
        assemble(work / "sources", for_epub=builder == "epub")
    except BrokenLink as broken:
        sys.exit(str(broken))
    folders = ["-c", DOCS, "-d", work / "doctrees", work / "sources", work / "out"]
    strict = ["-W", "--keep-going", "-q", "-j", "auto"]
    command = [sys.executable, "-m", "sphinx", "-b", builder, *strict, *map(str, folders)]
    environment = os.environ | {"SITE_STATIC": str(static), "PYTHONUTF8": "1"}
    if code := subprocess.run(command, cwd=ROOT, env=environment).returncode:
        sys.exit(code)
    (work / "out").rename(out)  # only now, so that no half-built site lies about
    shutil.rmtree(work)
    return out


def serve(folder: Path, port: int) -> None:
    """Show a folder on this machine until Ctrl+C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl+C stops)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="build/site by default, or build/book")
    parser.add_argument("--epub", action="store_true", help="build a book for e-readers instead")
    parser.add_argument(
        "--serve", type=int, nargs="?", const=8000, metavar="PORT", help="then show it (8000)"
    )
    args = parser.parse_args()
    if args.epub and args.serve is not None:
        parser.error("--serve shows the site; a book is a file")
    out = (args.out or ROOT / "build" / ("book" if args.epub else "site")).resolve()
    build(out, "epub" if args.epub else "html")
    print(next(out.glob("*.epub")) if args.epub else out / "index.html")
    if args.serve is not None:
        serve(out, args.serve)


if __name__ == "__main__":
    main()
