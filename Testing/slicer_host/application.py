"""``slicer.app``: the application that owns the scene, the logics and the modules."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host import gl, qt_modules, sample_data, strictness
from slicer_host.colors import add_viridis
from slicer_host.file_io import CoreIOManager
from slicer_host.modules import Module, ModuleManager, make_logics
from slicer_host.properties import stored_property
from slicer_host.stand_in import StandIn


class qSlicerApplication(StandIn, QtCore.QObject):
    """The application, started with ``--testing``; without main window and views until `main_window.open_main_window`."""

    aboutToQuit = QtCore.Signal()
    startupCompleted = QtCore.Signal()

    applicationName = "Slicer"
    applicationVersion = "5.13.0-host"
    majorVersion = 5
    minorVersion = 13
    revision = "host"
    os = "linux"
    arch = "amd64"
    platform = "linux-amd64"
    mainApplicationName = "Slicer"
    organizationName = "Slicer"
    slicerHome = ""
    extensionsInstallPath = ""
    documentationBaseUrl = "https://slicer.readthedocs.io/"
    temporaryPath = stored_property(str, "temporaryPath", "")
    cachePath = stored_property(str, "cachePath", "")

    def __init__(self) -> None:
        super().__init__()
        self._temporaryPath = self._cachePath = tempfile.mkdtemp(prefix="SlicerHost")
        self._scene = slicer.vtkMRMLScene()
        self._application_logic = slicer.vtkSlicerApplicationLogic()
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._data_io = slicer.vtkDataIOManagerLogic()
        self._cache = slicer.vtkCacheManager()
        self._prepare_scene()
        self._logics = make_logics(self._application_logic, self._scene)
        self._modules = ModuleManager()
        for name, logic in self._logics.items():
            self._modules.add(Module(name, logic))
        self._io = CoreIOManager(self)
        self._command_options = CommandOptions()
        self._layout_manager: Any = None
        self._main_window: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def applicationLogic(self) -> Any:
        return self._application_logic

    def moduleLogic(self, name: str) -> Any:
        return self._logics.get(name)

    def moduleManager(self) -> ModuleManager:
        return self._modules

    def coreIOManager(self) -> CoreIOManager:
        return self._io

    def ioManager(self) -> CoreIOManager:
        return self._io

    def layoutManager(self) -> Any:
        return self._layout_manager

    def settings(self) -> Any:
        """Settings in a folder of this run, as ``--testing`` leaves the user's settings alone; ``qt.QSettings()`` is the same."""
        return QtCore.QSettings()

    def userSettings(self) -> Any:
        return self.settings()

    def revisionUserSettings(self) -> Any:
        return self.settings()

    def testingEnabled(self) -> bool:
        return True

    def commandOptions(self) -> CommandOptions:
        return self._command_options

    def exit(self, status: int = 0) -> None:
        """Ends the event loop with an exit code."""
        QtWidgets.QApplication.exit(status)

    def quit(self) -> None:
        self.exit(0)

    def environment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def processEvents(self, *arguments: Any) -> None:
        QtWidgets.QApplication.processEvents(*arguments)

    def topLevelWidgets(self) -> tuple[Any, ...]:
        return tuple(QtWidgets.QApplication.topLevelWidgets())

    def setOverrideCursor(self, cursor: Any) -> None:
        QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(cursor))

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def palette(self) -> Any:
        return QtWidgets.QApplication.palette()

    def style(self) -> Any:
        return QtWidgets.QApplication.style()

    def pauseRender(self) -> None:
        if self._layout_manager is not None:
            self._layout_manager.pauseRender()

    def resumeRender(self) -> None:
        if self._layout_manager is not None:
            self._layout_manager.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()

    def translate(self, context: str, text: str) -> str:
        return text

    def _prepare_scene(self) -> None:
        scene, logic = self._scene, self._application_logic
        scene.SetRootDirectory(self.temporaryPath)
        self._cache.SetRemoteCacheDirectory(self.cachePath)
        scene.SetCacheManager(self._cache)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        scene.AddNode(crosshair)
        logic.SetMRMLScene(scene)
        logic.SetMRMLSceneDataIO(scene, self._remote_io, self._data_io)
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        logic.GetColorLogic().SetMRMLScene(scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        add_viridis(scene)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        for factory in _displayable_manager_factories():
            factory.SetMRMLApplicationLogic(logic)


@dataclass
class CommandOptions:
    """What the command line asked for: ``Slicer --testing --no-main-window``."""

    noMainWindow: bool = True
    noSplash: bool = True
    testingEnabled: bool = True
    runPythonAndExit: bool = True


def start() -> qSlicerApplication:
    """Boots the application, or returns the one that runs already.

    ``slicer.app``, ``slicer.mrmlScene``, ``slicer.modules`` and ``slicer.util`` work from then on, and so do ``qt``, ``ctk`` and
    the widgets of ``slicer``. There is no main window and no layout manager yet.
    """
    running = getattr(slicer, "app", None)
    if running is not None:
        return running
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    gl.use_offscreen_windows()
    if QtWidgets.QApplication.instance() is None:
        QtWidgets.QApplication(["Slicer"])
    strictness.watch_vtk()
    sys.excepthook = strictness.remember_exception
    with strictness.quiet():
        application = qSlicerApplication()
    _keep_settings_in(application.temporaryPath)
    slicer.app = application
    slicer.mrmlScene = application.mrmlScene()
    strictness.watch_removals(slicer.mrmlScene)
    strictness.hide_leaked_names()
    qt_modules.install()
    sys.modules["SampleData"] = sample_data
    for name in ("SampleData", "DICOM"):
        application.moduleManager().add(Module(name))
    return application


def close(application: qSlicerApplication) -> None:
    """Takes the scene and the logics apart in the order that VTK needs to leave nothing behind."""
    application.aboutToQuit.emit()
    with strictness.quiet():
        for logic in reversed(application._logics.values()):
            logic.SetMRMLScene(None)
        application._scene.Clear(1)
        application._application_logic.SetMRMLScene(None)
    for factory in _displayable_manager_factories():
        factory.SetMRMLApplicationLogic(None)
    shutil.rmtree(application._temporaryPath, ignore_errors=True)


def _keep_settings_in(folder: str) -> None:
    ini = QtCore.QSettings.Format.IniFormat
    QtCore.QSettings.setDefaultFormat(ini)
    QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, folder)
    QtCore.QCoreApplication.setOrganizationName(qSlicerApplication.organizationName)
    QtCore.QCoreApplication.setApplicationName(qSlicerApplication.applicationName)


def _displayable_manager_factories() -> list[Any]:
    classes = (slicer.vtkMRMLThreeDViewDisplayableManagerFactory, slicer.vtkMRMLSliceViewDisplayableManagerFactory)
    return [factory.GetInstance() for factory in classes]
