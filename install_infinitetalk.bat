@echo off
rem Installs the video engine InfiniteTalk (NVIDIA GPU). Options: --plan, --fastest-mirrors, --torch, --gpu
chcp 65001 >nul
pushd "%~dp0"
call launcher\run.bat install infinitetalk %*
set "AIO_STATUS=%ERRORLEVEL%"
popd
if not "%AIO_STATUS%"=="0" pause
exit /b %AIO_STATUS%
