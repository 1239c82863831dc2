"""Look the tested versions of all packages up among the known vulnerabilities, with pip-audit: `make audit`.

The advisories are asked for over the network. Where they cannot be reached, that is said, and nothing counts as audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
VULNERABLE, NOT_AUDITED = 1, 2  # exit codes


def audit(pip_audit: str) -> int:
    """Run pip-audit and tell what it found in sentences; gives the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [pip_audit, "--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        run = subprocess.run([*command, "--format", "json", "--output", str(report)], capture_output=True, text=True)
        text = report.read_text(encoding="utf-8") if report.exists() else ""
    if not text:
        reason = (run.stderr.strip().splitlines() or ["no reason was given"])[-1]
        print(f"NOTHING WAS AUDITED: pip-audit got no advisories; it needs the network. Its last words: {reason}")
        return NOT_AUDITED
    packages = json.loads(text)["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        print(f"NOTHING WAS AUDITED: pip-audit found none of the {len(packages)} packages. It says: {skipped[0]['skip_reason']}")
        return NOT_AUDITED
    for package in skipped:
        print(f"Not audited: {package['name']}: {package['skip_reason']}")
    found = [(package, advisory) for package in packages for advisory in package.get("vulns", ())]
    for package, advisory in found:
        mended = ", ".join(advisory["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {advisory['id']}, mended in {mended}.")
    print(f"{len(packages) - len(skipped)} packages were audited; known vulnerabilities: {len(found)}.")
    return VULNERABLE if found else 0


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1]))
