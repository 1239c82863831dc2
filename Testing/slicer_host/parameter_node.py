"""The equivalent of ``slicer.parameterNodeWrapper``; a first rough version, about to be replaced."""

# ruff: noqa
import dataclasses, enum, os, pathlib, sys, types, typing, unittest, json
import slicer, vtk


# ------------------------------------------------------------ parameterNodeWrapper
@dataclasses.dataclass
class Default:
    value: object


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


class WithinRange:
    def __init__(self, a, b):
        if a > b:
            raise ValueError("minimum above maximum")
        self.minimum, self.maximum = a, b

    def validate(self, v):
        if v < self.minimum or v > self.maximum:
            raise ValueError(f"{v} not within [{self.minimum}, {self.maximum}]")


class Minimum:
    def __init__(self, a):
        self.minimum = a

    def validate(self, v):
        if v < self.minimum:
            raise ValueError(f"{v} below {self.minimum}")


class Maximum:
    def __init__(self, a):
        self.maximum = a

    def validate(self, v):
        if v > self.maximum:
            raise ValueError(f"{v} above {self.maximum}")


class Choice:
    def __init__(self, c):
        self.choices = list(c)

    def validate(self, v):
        if v not in self.choices:
            raise ValueError(f"{v} not in {self.choices}")


def _split(t):
    return (typing.get_args(t)[0], list(typing.get_args(t)[1:])) if typing.get_origin(t) is typing.Annotated else (t, [])


def _isNode(t):
    a = typing.get_args(t)
    if typing.get_origin(t) is typing.Union or isinstance(t, types.UnionType):
        return all(x is type(None) or _isNode(x) for x in a)
    return isinstance(t, type) and issubclass(t, slicer.vtkMRMLNode)


def _nodeTypes(t):
    return tuple(x.__name__ for x in (typing.get_args(t) or (t,)) if x is not type(None))


class _Field:
    def __init__(self, name, t, default):
        self.name, self.full = name, t
        self.type, ann = _split(t)
        d = next((a for a in ann if isinstance(a, Default)), None)
        self.val = [a for a in ann if hasattr(a, "validate")]
        self.ann = ann
        self.node = _isNode(self.type)
        zero = (
            None
            if self.node
            else (
                list(self.type)[0]
                if isinstance(self.type, type) and issubclass(self.type, enum.Enum)
                else (typing.get_origin(self.type) or self.type)()
            )
        )
        choice = next((a for a in self.val if isinstance(a, Choice)), None)
        self.default = default if default is not None else (d.value if d else (choice.choices[0] if choice else zero))
        if not self.node and not (
            self.type in (bool, int, float, str, list, dict)
            or typing.get_origin(self.type) in (list, dict, tuple)
            or isinstance(self.type, type)
            and issubclass(self.type, (enum.Enum, pathlib.PurePath))
        ):
            raise Exception(f"Unable to create serializer for member {name}: {t}")

    def has(self, pn):
        return True if self.node else self.name in pn.GetParameterNames()

    def write(self, pn, v):
        if self.node:
            if v is not None and not any(v.IsA(c) for c in _nodeTypes(self.type)):
                raise TypeError(f"{self.name}: not a {_nodeTypes(self.type)}")
            pn.SetNodeReferenceID(self.name, v.GetID() if v else None)
            return
        if isinstance(self.type, type) and not isinstance(
            v, (int, float) if self.type is float else (pathlib.PurePath, str) if issubclass(self.type, pathlib.PurePath) else self.type
        ):
            raise TypeError(f"{self.name}: expected {self.type}, got {type(v)}")
        for x in self.val:
            x.validate(v)
        if isinstance(v, enum.Enum):
            v = v.name
        pn.SetParameter(
            self.name, str(v) if self.type in (bool, int, float, str) or not isinstance(v, (list, dict, tuple)) else json.dumps(v)
        )

    def read(self, pn):
        if self.node:
            return pn.GetNodeReference(self.name)
        s, t = pn.GetParameter(self.name), self.type
        if t is bool:
            return s == "True"
        if t in (int, float, str):
            return t(s)
        if issubclass(typing.get_origin(t) or t, enum.Enum):
            return t[s]
        if isinstance(t, type) and issubclass(t, pathlib.PurePath):
            return t(s)
        return (typing.get_origin(t) or t)(json.loads(s))


class GuiConnector:
    """widget <-> value: how each kind of widget is read, written, and what signal tells that it changed."""

    def __init__(self, w, f):
        import qt, ctk

        self.w, self.f, t = w, f, f.type
        W = type(w)
        rng = next((a for a in f.val if isinstance(a, WithinRange)), None)
        for a in f.ann:
            if isinstance(a, Decimals):
                w.decimals = a.value
            if isinstance(a, SingleStep):
                w.singleStep = a.value
        ok = True
        if W in (qt.QCheckBox, ctk.ctkCheckBox) and t is bool:
            self.sig, self.get, self.set = w.stateChanged, lambda: w.checked, lambda v: setattr(w, "checked", v)
        elif W is qt.QPushButton and t is bool:
            w.checkable = True
            self.sig, self.get, self.set = w.toggled, lambda: w.checked, lambda v: setattr(w, "checked", v)
        elif (
            W in (qt.QSlider, qt.QSpinBox)
            and t is int
            or W
            in (
                qt.QDoubleSpinBox,
                ctk.ctkSliderWidget,
                ctk.ctkDoubleSlider,
                ctk.ctkDoubleSpinBox,
                slicer.qMRMLSliderWidget,
                slicer.qMRMLSpinBox,
            )
            and t in (int, float)
        ):
            if rng:
                w.minimum, w.maximum = rng.minimum, rng.maximum
            elif W in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget):
                raise RuntimeError("a slider needs a bounded parameter")
            else:
                w.minimum = next((a.minimum for a in f.val if isinstance(a, Minimum)), -(2**31) if t is int else float("-inf"))
                w.maximum = next((a.maximum for a in f.val if isinstance(a, Maximum)), 2**31 - 1 if t is int else float("inf"))
            self.sig, self.get, self.set = w.valueChanged, lambda: t(w.value), lambda v: setattr(w, "value", v)
        elif W in (qt.QComboBox, ctk.ctkComboBox) and (
            isinstance(t, type) and issubclass(t, enum.Enum) or any(isinstance(a, Choice) for a in f.val)
        ):
            c = list(t) if isinstance(t, type) and issubclass(t, enum.Enum) else next(a for a in f.val if isinstance(a, Choice)).choices
            w.clear()
            for x in c:
                w.addItem((x.label() if hasattr(x, "label") else x.name) if isinstance(x, enum.Enum) else str(x))
            self.sig, self.get, self.set = (
                w.currentIndexChanged,
                lambda: c[w.currentIndex],
                lambda v: setattr(w, "currentIndex", c.index(v)),
            )
        elif W is qt.QLineEdit and t is str:
            self.sig, self.get, self.set = w.textChanged, lambda: w.text, lambda v: w.text == v or setattr(w, "text", v)
        elif W is qt.QTextEdit and t is str:
            self.sig, self.get, self.set = w.textChanged, w.toPlainText, w.setPlainText
        elif W is ctk.ctkPathLineEdit and isinstance(t, type) and issubclass(t, pathlib.PurePath):
            self.sig, self.get, self.set = w.currentPathChanged, lambda: t(w.currentPath), lambda v: setattr(w, "currentPath", str(v))
        elif W is ctk.ctkDirectoryButton and isinstance(t, type) and issubclass(t, pathlib.PurePath):
            self.sig, self.get, self.set = w.directoryChanged, lambda: t(w.directory), lambda v: setattr(w, "directory", str(v))
        elif W is slicer.qMRMLNodeComboBox and f.node:
            w.nodeTypes = _nodeTypes(t)
            self.sig, self.get, self.set = w.currentNodeChanged, w.currentNode, w.setCurrentNode
        else:
            raise RuntimeError(f"Unable to create GUI connector from datatype '{t}' to widget type '{W}'")


def parameterNodeWrapper(cls=None):
    if cls is None:
        return parameterNodeWrapper
    fields = {n: _Field(n, t, cls.__dict__.get(n)) for n, t in typing.get_type_hints(cls, include_extras=True).items()}

    class W:
        allParameters = fields
        _is_parameter_node_wrapper = True

        def __init__(self, parameterNode, prefix=None):
            self.__dict__.update(parameterNode=parameterNode, _guis={}, _busy=False)
            for f in fields.values():
                if not f.has(parameterNode):
                    f.write(parameterNode, f.default)

        def __getattr__(self, n):
            if n in fields:
                return fields[n].read(self.parameterNode)
            raise AttributeError(n)

        def __setattr__(self, n, v):
            if n in fields:
                fields[n].write(self.parameterNode, v)
            else:
                self.__dict__[n] = v

        def getValue(self, n):
            return getattr(self, n)

        def setValue(self, n, v):
            setattr(self, n, v)

        def default(self, n):
            return Default(fields[n].default)

        @staticmethod
        def dataType(n):
            return fields[n].full

        def StartModify(self):
            return self.parameterNode.StartModify()

        def EndModify(self, w):
            return self.parameterNode.EndModify(w)

        def AddObserver(self, e, c, p=0.0):
            return self.parameterNode.AddObserver(e, c, p)

        def RemoveObserver(self, t):
            self.parameterNode.RemoveObserver(t)

        def Modified(self):
            self.parameterNode.Modified()

        def connectParametersToGui(self, mapping):
            con = {n: GuiConnector(w, fields[n]) for n, w in mapping.items()}
            slots = []
            for n, c in con.items():
                c.set(getattr(self, n))

                def changed(*_, n=n, c=c):
                    if not self._busy:
                        setattr(self, n, c.get())

                c.sig.connect(changed)
                slots.append((c, changed))

            def update(*_):
                if not self._busy:
                    self.__dict__["_busy"] = True
                    try:
                        for n, c in con.items():
                            c.set(getattr(self, n))
                    finally:
                        self.__dict__["_busy"] = False

            tag = max(self._guis, default=-1) + 1
            self._guis[tag] = (slots, self.AddObserver(vtk.vtkCommand.ModifiedEvent, update))
            return tag

        def connectGui(self, gui):
            import qt

            ws = gui.findChildren(qt.QWidget) if hasattr(gui, "isWidgetType") else vars(gui).values()
            return self.connectParametersToGui({w.property("SlicerParameterName"): w for w in ws if w.property("SlicerParameterName")})

        def disconnectGui(self, tag):
            slots, o = self._guis.pop(tag, ((), None))
            for c, s in slots:
                c.sig.disconnect(s)
            if o is not None:
                self.RemoveObserver(o)

    for n, v in cls.__dict__.items():
        if isinstance(v, (types.FunctionType, property, staticmethod, classmethod)):
            setattr(W, n, v)
    W.__name__ = W.__qualname__ = cls.__name__
    return W


def isParameterNodeWrapper(x):
    return getattr(x, "_is_parameter_node_wrapper", False)
