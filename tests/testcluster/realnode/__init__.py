"""A real node beside our control plane: containerd, kubelet, kube-proxy and a bridge network, run as root."""

from tests.testcluster import programs
from tests.testcluster.cache import locked
from tests.testcluster.realnode import images, prerequisites
from tests.testcluster.realnode.cluster import RealCluster

__all__ = ["RealCluster", "prepare"]


def prepare() -> None:
    """Have everything that takes minutes once: packages, programs and the base of images."""
    prerequisites.ensure()
    programs.PAUSE.path()
    with locked("images", waiting="waiting for another run that builds images"):
        images.base_image()
